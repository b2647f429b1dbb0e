"""Whether dispatch may go on: an operator's hold, or what fal's answers say."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Hold(StrEnum):
    """Why nothing is dispatched."""

    PAUSED = "paused"
    """By an operator."""
    LOCKED = "locked"
    """fal refuses the account: its key or its balance."""
    FAILING = "failing"
    """Submits have failed, several in a row."""


@dataclass(frozen=True, slots=True)
class Gate:
    """``hold`` None: dispatch goes on. ``draining``: nothing new is accepted, what there is goes on."""

    hold: Hold | None = None
    reason: str = ""
    since: datetime | None = None
    retry_at: datetime | None = None
    """When one generation may try whether it is over; None: an operator decides."""
    draining: bool = False
    paused_tenants: int = 0
