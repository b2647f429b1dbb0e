"""State of the dispatch gate, the reason for which a tenant's generations are held, and limits of submits."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from service.domain.tenant import Tenant

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


class HoldReason(StrEnum):
    """Why no generation of a tenant is submitted, in words that any tenant may read. Append new ones at the end."""

    PAUSED = "paused"
    ACCOUNT_LOCKED = "account_locked"
    UPSTREAM_FAILING = "upstream_failing"
    TENANT_PAUSED = "tenant_paused"
    TENANT_FAILING = "tenant_failing"


#: The sentence for people. No sentence contains an operator's or fal's text about the account.
HOLD_TEXTS: Final = {
    HoldReason.PAUSED: "An operator has paused the dispatch of all tenants.",
    HoldReason.ACCOUNT_LOCKED: "fal refuses the account of this gateway. The operators have to solve it with fal.",
    HoldReason.UPSTREAM_FAILING: "Submits to fal fail. The gateway tries again automatically.",
    HoldReason.TENANT_PAUSED: "An operator has paused the dispatch of your tenant.",
    HoldReason.TENANT_FAILING: "Submits of your generations fail. The gateway tries again automatically.",
}
_HOLD_OF_CAUSE: Final = {
    PauseCause.PAUSED: HoldReason.PAUSED,
    PauseCause.LOCKED: HoldReason.ACCOUNT_LOCKED,
    PauseCause.FAILING: HoldReason.UPSTREAM_FAILING,
}


@dataclass(frozen=True, slots=True)
class Gate:
    """``hold`` None: dispatch continues. ``draining``: creates are refused, accepted generations continue."""

    hold: PauseCause | None = None
    reason: str = ""
    since: datetime | None = None
    retry_at: datetime | None = None
    """When one generation may probe whether fal accepts submits again; None: an operator decides."""
    draining: bool = False
    drain_reason: str = ""
    paused_tenants: int = 0
    held_tenants: int = 0
    """Tenants that are stopped because only their submits fail. Dispatch of other tenants continues."""
    failed_generations: int = 0
    """Distinct generations whose submit has failed since the last accepted submit."""
    failed_tenants: int = 0
    """Distinct tenants of these generations."""
    submits_at_once: int = FIRST_SUBMITS
    """The submit window: submits that may be under way."""
    closed_tenants: frozenset[str] = frozenset()
    """Tenants whose own gate is closed, a thousand at most."""

    def holds(self, tenant: Tenant) -> HoldReason | None:
        """Return why no generation of the tenant is submitted; None: they are submitted."""
        if tenant.paused is not None:
            return HoldReason.TENANT_PAUSED
        # Before the tenant's own gate, which closes too when fal refuses the account of a tenant that is alone.
        if self.hold is not None:
            return _HOLD_OF_CAUSE[self.hold]
        return HoldReason.TENANT_FAILING if tenant.id in self.closed_tenants else None


@dataclass(frozen=True, slots=True)
class Stops:
    """What stops dispatch, as the audit trail has it before and after an act. None: it does not."""

    paused: str | None = None
    """Reason of an operator's pause."""
    draining: str | None = None
    """Reason of a drain."""
    closed: PauseCause | None = None
    """Why the account's gate has closed by itself."""
    closed_reason: str | None = None
    closed_tenants: int | None = None
    """Tenants whose own gates have closed."""


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
