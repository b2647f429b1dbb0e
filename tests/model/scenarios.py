"""What the suite explores. Each bound names what it leaves out; together they cover every kind of step."""

from dataclasses import replace
from typing import Final

from tests.model.explorer import Bounds

REQUESTS: Final = Bounds(steps=11, ticks=4, faults=0)
"""Every request of the caller and every answer of fal, and no fault."""

FAULTS: Final = Bounds(steps=11, ticks=4, faults=1, workers=1, erase=False, clock_steps=False)
"""One fault: a lost response, a dead or stopped worker, an unavailable Redis, a lost reply of Redis."""

EVERYTHING: Final = Bounds(steps=7, ticks=4, faults=1)
"""All of it together, with clock steps, but less deep."""

UNCONFIRMED: Final = Bounds(
    steps=9,
    ticks=5,
    faults=1,
    workers=1,
    cancel=False,
    erase=False,
    clock_steps=False,
    may_fail=False,
    starts_unconfirmed=True,
)
"""A submit without a response, up to its end."""

TWO_UNCONFIRMED: Final = replace(UNCONFIRMED, steps=8, ticks=4, faults=0, generations=2)
"""Two of them, so that a billing event may belong to either."""

DEADLINE: Final = Bounds(
    steps=20, ticks=5, faults=0, workers=1, cancel=False, erase=False, clock_steps=False, may_fail=False
)
"""A job that fal runs, past its deadline, and a video that is copied."""

SCENARIOS: Final = {
    "requests": REQUESTS,
    "faults": FAULTS,
    "everything": EVERYTHING,
    "unconfirmed": UNCONFIRMED,
    "deadline": DEADLINE,
    "two unconfirmed": TWO_UNCONFIRMED,
}
