"""Workers whose fixed waits are as short as a test's settings: ``celery -A tests.support.chaos.hasty worker``.

What production waits for minutes, because a video takes minutes there, takes seconds here. Nothing else differs.
"""

import os
from datetime import timedelta
from typing import Final

from service.usecases.lifecycle import schedule

MODULE: Final = "tests.support.chaos.hasty"
#: The environment variable of processes that are to be so.
SHORT: Final = "HASTY"


def install() -> None:
    for name, seconds in (("_SUBMIT_MARGIN", 3), ("_FIRST_LOOK", 12)):
        if not isinstance(getattr(schedule, name), timedelta):
            raise TypeError(name)
        setattr(schedule, name, timedelta(seconds=seconds))


if SHORT in os.environ:  # as a process of a stack, and not where a test imports it
    install()
    from workers import app  # noqa: F401  (what `celery -A` looks for)
