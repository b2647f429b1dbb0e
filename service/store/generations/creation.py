"""Input and replies of the create script: the request that a client may send again, and the possible results."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from service.domain.budgets import Scope
from service.domain.work_queue import WorkQueue

Attempt = Literal["", "first", "repeat"]
"""What a client says about a request: that it was not sent before, that it was, or nothing.

A client that says so repeats a request only after it received no response. So a repeat is the request of an equal call
whose response was lost, or else is being sent, or else was delivered as far as the gateway knows.
"""

#: Scores of delivered responses are above those of all others, and the lower the later they were delivered.
_DELIVERED: Final = 2**52


def delivered_score(now_ms: int) -> int:
    return _DELIVERED - now_ms


@dataclass(frozen=True, slots=True)
class Call:
    """A create request that its client sends again if the response is lost; equal requests have the same ``digest``."""

    digest: str
    now: datetime
    answered_by: datetime
    """Until then the response is being sent. After that, unless it was prolonged, the sending process has died."""
    window: timedelta
    waits: bool = True
    """Whether to create nothing while responses to equal requests are being sent: one of them may be for this call."""
    attempt: Attempt = ""


@dataclass(frozen=True, slots=True)
class Quotas:
    """Limits of what a tenant stores; None: no limit."""

    queued: int | None = None
    """Generations in its queue."""
    daily: int | None = None
    """Generations created in a day, canceled ones included."""
    new_end_users: int | None = None
    """End users named for the first time in a day."""
    deliveries: int | None = None
    """Stored webhook deliveries."""


@dataclass(frozen=True, slots=True)
class Created:
    """The generation is new, and its cost is held in every budget window."""

    nudges: tuple[WorkQueue, ...] = ()
    position: int = 0
    """How many generations of its tenant are before it."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Its idempotency key has created ``existing``; ``same``: from the same payload.

    A call without a key is bound to the generation of an equal call whose response was lost.
    """

    existing: str
    same: bool


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Responses to equal requests are being sent, until ``until_ms`` at the latest. Nothing was changed."""

    until_ms: int


@dataclass(frozen=True, slots=True)
class OverBudget:
    """The cost exceeds a budget, of which ``available`` micro-USD are left."""

    scope: Scope
    available: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Another refusal. ``count``: what has reached its limit, of the end user or of the tenant.

    ``gone``: the tenant was deleted after its API key was read. ``draft_gone``: the draft was deleted after its read.
    """

    reason: Literal[
        "blocked",
        "over_count",
        "over_daily_count",
        "new_end_users",
        "queue_full",
        "deliveries_full",
        "draining",
        "gone",
        "draft_gone",
        "store_full",
        "tenant_store_full",
    ]
    count: int = 0


Creation = Created | Bound | Unanswered | OverBudget | Refused


def read_creation(reply: Any) -> Creation:  # noqa: PLR0911  (one return for each reply of the script)
    """Read the reply of create.lua."""
    match reply:
        case [b"created", nudge, position]:
            return Created((WorkQueue.DISPATCH,) if nudge else (), position)
        case [b"replayed" | b"mismatch" as outcome, existing]:
            return Bound(existing.decode(), same=outcome == b"replayed")
        case [b"unanswered", until_ms]:
            return Unanswered(int(until_ms))
        case [b"over_budget", scope, available]:
            return OverBudget(tuple(Scope)[scope - 1], int(available))
        case [
            b"over_count" | b"over_daily_count" | b"new_end_users" | b"queue_full" | b"deliveries_full" as reason,
            count,
        ]:
            return Refused(reason.decode(), count)
        case [b"draining" | b"gone" | b"draft_gone" | b"store_full" | b"tenant_store_full" as reason]:
            return Refused(reason.decode())
    return Refused("blocked")
