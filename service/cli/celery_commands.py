"""Becoming Celery: ``worker`` and ``beat``. By name, since the service knows no worker; in place, so that signals
reach it.
"""

import os
import sys
from typing import NoReturn


def become_celery(*arguments: str) -> NoReturn:
    os.execv(sys.executable, [sys.executable, "-m", "celery", "--quiet", "-A", "workers", *arguments])  # noqa: S606
