"""State of the dispatch gate, and limits of concurrent submits."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

#: Concurrent submits until fal has accepted one. A burst of unknown outcomes after an idle time costs so many jobs.
FIRST_SUBMITS: Final = 8


class PauseCause(StrEnum):
    """Why dispatch is stopped."""

    PAUSED = "paused"
    """An operator paused it."""
    LOCKED = "locked"
    """fal refuses the account: its key or its balance."""
    FAILING = "failing"
    """Submits of several generations have failed, and fal has accepted none since."""


@dataclass(frozen=True, slots=True)
class Gate:
    """``hold`` None: dispatch continues. ``draining``: creates are refused, accepted generations continue."""

    hold: PauseCause | None = None
    reason: str = ""
    since: datetime | None = None
    retry_at: datetime | None = None
    """When one generation may probe whether fal accepts submits again; None: an operator decides."""
    draining: bool = False
    paused_tenants: int = 0
    held_tenants: int = 0
    """Tenants that are stopped because only their submits fail. Dispatch of other tenants continues."""
    failed_generations: int = 0
    """Distinct generations whose submit has failed since the last accepted submit."""
    failed_tenants: int = 0
    """Distinct tenants of these generations."""
    submits_at_once: int = FIRST_SUBMITS
    """The submit window: submits that may be under way."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """Limits of concurrent submits, and of the slots that unconfirmed generations take.

    A video takes a minute at least and a submit takes seconds: a quarter of the slots in submits keeps all in use.
    """

    first: int
    """The submit window at the start. Each accepted submit adds one; a failure reduces it to one."""
    most: int
    unconfirmed: int
    """Most slots that unconfirmed generations take. Any beyond this number take no slot."""
    submit_timeout: timedelta
    """Time after the end of the claim's lease at which the outcome is known."""

    @classmethod
    def of(cls, slots: int, share: float, *, submit_timeout: timedelta) -> "Ramp":
        unconfirmed = max(1, int(slots * share))
        return cls(FIRST_SUBMITS, max(FIRST_SUBMITS, unconfirmed), unconfirmed, submit_timeout)
