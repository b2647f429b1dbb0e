"""What the create script may be told about the call behind a request, and what it may answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from service.domain.budgets import Scope
from service.domain.work_queue import WorkQueue


@dataclass(frozen=True, slots=True)
class Call:
    """A call whose client sends it again where its answer is lost; equal calls have the same ``digest``."""

    digest: str
    now: datetime
    answered_by: datetime
    """Until then its answer is under way; later, unless that was prolonged, whoever was to send it has died."""
    window: timedelta
    others: frozenset[str] = frozenset()
    """Generations of equal calls that are known to be somebody else's."""


@dataclass(frozen=True, slots=True)
class Created:
    """It is new, and its cost is held in every scope."""

    nudges: tuple[WorkQueue, ...] = ()
    position: int = 0
    """How many of its tenant go before it."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Its idempotency key was bound before, to ``existing``; ``same``: by the same payload."""

    existing: str
    same: bool


@dataclass(frozen=True, slots=True)
class Resent:
    """The answer with this generation was lost; the caller has come for it again."""

    existing: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Equal calls are just being answered, by generation until when (ms). Nothing was changed."""

    leases: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class OverBudget:
    scope: Scope
    available: int


@dataclass(frozen=True, slots=True)
class Refused:
    """``count`` is how many there are already: of the end user today, or in the tenant's queue.

    ``gone``: the tenant was deleted after its key was looked up.
    """

    reason: Literal["blocked", "over_count", "queue_full", "draining", "gone", "store_full"]
    count: int = 0


Creation = Created | Bound | Resent | Unanswered | OverBudget | Refused


def read_creation(reply: Any) -> Creation:  # noqa: PLR0911  (one return per answer of the script)
    match reply:
        case [b"created", nudge, position]:
            return Created((WorkQueue.DISPATCH,) if nudge else (), position)
        case [b"replayed" | b"mismatch" as outcome, existing]:
            return Bound(existing.decode(), same=outcome == b"replayed")
        case [b"resent", existing]:
            return Resent(existing.decode())
        case [b"unanswered", *pairs]:
            names = (name.decode() for name in pairs[::2])
            return Unanswered(dict(zip(names, map(int, pairs[1::2]), strict=True)))
        case [b"over_budget", scope, available]:
            return OverBudget(tuple(Scope)[scope - 1], int(available))
        case [b"over_count", count]:
            return Refused("over_count", count)
        case [b"queue_full", count]:
            return Refused("queue_full", count)
        case [b"draining" | b"gone" | b"store_full" as reason]:
            return Refused(reason.decode())
    return Refused("blocked")
