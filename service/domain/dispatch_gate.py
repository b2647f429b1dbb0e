"""Whether dispatch may go on: an operator's hold, or what fal's answers say; and how many submits go at once."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

#: Submits under way at once before fal has accepted one: what a burst of unknown outcomes costs after a quiet time.
FIRST_SUBMITS: Final = 8


class PauseCause(StrEnum):
    """Why nothing is dispatched."""

    PAUSED = "paused"
    """By an operator."""
    LOCKED = "locked"
    """fal refuses the account: its key or its balance."""
    FAILING = "failing"
    """Submits of several generations have failed, and none was accepted since."""


@dataclass(frozen=True, slots=True)
class Gate:
    """``hold`` None: dispatch goes on. ``draining``: nothing new is accepted, what there is goes on."""

    hold: PauseCause | None = None
    reason: str = ""
    since: datetime | None = None
    retry_at: datetime | None = None
    """When one generation may try whether it is over; None: an operator decides."""
    draining: bool = False
    paused_tenants: int = 0
    held_tenants: int = 0
    """Tenants whose own submits fail; the others' go on."""
    failed_generations: int = 0
    """Distinct ones whose submit failed since the last accepted submit."""
    failed_tenants: int = 0
    """Distinct tenants of these generations."""
    submits_at_once: int = FIRST_SUBMITS
    """Submits that may be under way."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """How many submits may be under way, and how many slots unconfirmed generations may take.

    A video takes a minute at least and a submit seconds, so a quarter of the slots under way keeps all slots in use.
    """

    first: int
    """Until submits are accepted; each accepted one adds one, a failure leaves one."""
    most: int
    unconfirmed: int
    """Slots that unconfirmed generations take at most; those beyond do not count."""
    submit_timeout: timedelta
    """From the end of the claim's lease on, an outcome must be known."""

    @classmethod
    def of(cls, slots: int, share: float, *, submit_timeout: timedelta) -> "Ramp":
        doubtful = max(1, int(slots * share))
        return cls(FIRST_SUBMITS, max(FIRST_SUBMITS, doubtful), doubtful, submit_timeout)
