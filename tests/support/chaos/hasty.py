"""Workers with fixed waits as short as a test's settings: ``celery -A tests.support.chaos.hasty worker``.

Waits that are minutes in production, since a video takes minutes there, are seconds here. Nothing else differs.
"""

import os
from typing import Final

from service.runtime import core
from service.usecases.lifecycle import schedule
from tests.support.chaos.shorter import shorten

MODULE: Final = "tests.support.chaos.hasty"
#: The environment variable that switches the short waits on.
SHORT: Final = "HASTY"


def install() -> None:
    shorten(core, "SUBMIT_MARGIN", 3)
    shorten(schedule, "FIRST_BILL_READ", 12)


if SHORT in os.environ:  # in a process of a stack, not in a test that imports this module
    install()
    from workers import app  # noqa: F401  (what `celery -A` looks for)
