"""Time in the model: whole ticks. Every deadline of ``processes.SCHEDULE`` is a number of ticks."""

from datetime import datetime, timedelta
from typing import Final

from tests.support.factories import NOW

TICK: Final = timedelta(minutes=1)


def moment(tick: int) -> datetime:
    return NOW + tick * TICK


def tick_at(due: datetime | None) -> int | None:
    """Return the first tick at which an entry is due: jitter within a tick makes no difference."""
    return None if due is None else -((NOW - due) // TICK)
