"""What the create script may answer."""

from dataclasses import dataclass
from typing import Any, Literal

from service.domain.drain import Drain
from service.domain.money import Scope


@dataclass(frozen=True, slots=True)
class Created:
    """It is new, and its cost is held in every scope."""

    nudges: tuple[Drain, ...] = ()
    position: int = 0
    """How many of its tenant go before it."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Its idempotency key was bound before, to ``existing``; ``same``: by the same payload."""

    existing: str
    same: bool


@dataclass(frozen=True, slots=True)
class OverBudget:
    scope: Scope
    available: int


@dataclass(frozen=True, slots=True)
class Refused:
    """``count`` is how many there are already: of the end user today, or in the tenant's queue."""

    reason: Literal["blocked", "over_count", "queue_full", "draining"]
    count: int = 0


Creation = Created | Bound | OverBudget | Refused


def read_creation(reply: Any) -> Creation:
    match reply:
        case [b"created", nudge, position]:
            return Created((Drain.DISPATCH,) if nudge else (), position)
        case [b"replayed" | b"mismatch" as outcome, existing]:
            return Bound(existing.decode(), same=outcome == b"replayed")
        case [b"over_budget", scope, available]:
            return OverBudget(tuple(Scope)[scope - 1], int(available))
        case [b"over_count", count]:
            return Refused("over_count", count)
        case [b"queue_full", count]:
            return Refused("queue_full", count)
    return Refused("draining" if reply == [b"draining"] else "blocked")
