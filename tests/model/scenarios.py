"""What the suite explores. Each bound names what it leaves out; together they cover every kind of step."""

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True)
class Bounds:
    """What is explored, exhaustively."""

    steps: int
    ticks: int
    faults: int
    generations: int = 1
    workers: int = 2
    """Processes of workers under way at the same time."""
    cancel: bool = True
    erase: bool = True
    clock_steps: bool = True
    may_fail: bool = True
    """Whether fal refuses and fails jobs, besides accepting and finishing them."""
    starts_unconfirmed: bool = False
    """Start with generations whose submits had no response, and which fal took, one minute ago."""
    budget: int | None = None
    """The tenant's budget, in estimates of one generation."""


REQUESTS: Final = Bounds(steps=12, ticks=4, faults=0)
"""Every request of the caller and every answer of fal, and no fault."""

FAULTS: Final = Bounds(steps=12, ticks=4, faults=1, workers=1, erase=False, clock_steps=False)
"""One fault: a lost response, a dead or stopped worker, an unavailable Redis, a lost reply, a failover of Redis."""

EVERYTHING: Final = Bounds(steps=8, ticks=4, faults=1)
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
    steps=21, ticks=5, faults=0, workers=1, cancel=False, erase=False, clock_steps=False, may_fail=False
)
"""A job that fal runs, past its deadline, and a video that is copied."""

BUDGET: Final = Bounds(steps=8, ticks=2, faults=0, generations=2, workers=1, erase=False, clock_steps=False, budget=1)
"""Two creates, and a budget for one of them."""

SCENARIOS: Final = {
    "requests": REQUESTS,
    "faults": FAULTS,
    "everything": EVERYTHING,
    "unconfirmed": UNCONFIRMED,
    "deadline": DEADLINE,
    "two unconfirmed": TWO_UNCONFIRMED,
    "budget": BUDGET,
}
