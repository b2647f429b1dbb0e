"""Webhook endpoints of tenants, and the rules for endpoints that fail."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from service.domain.signing import SigningKey, in_force, new_private, rotated
from service.domain.webhook import ENDS, EventType

#: Most endpoints of a tenant. All are read at each change of the status of one of its generations.
MOST_ENDPOINTS: Final = 20
#: Most headers of its own that an endpoint sends.
MOST_HEADERS: Final = 10
#: Percent of the allowed failing time at which the tenant is warned. At the last stage the endpoint is disabled.
STAGES: Final = (50, 70, 90, 100)

Reason = Literal["requested", "gone", "failing"]


@dataclass(frozen=True, slots=True)
class Disabled:
    """``requested`` by the tenant; ``gone``: it answered 410; ``failing``: the allowed time is used up."""

    reason: Reason
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A webhook endpoint. The store encrypts the whole record, because its headers may be secrets too."""

    id: str
    tenant_id: str
    url: str = field(repr=False)
    keys: tuple[SigningKey, ...] = field(repr=False)
    """Keys that sign, the current one first."""
    created_at: datetime
    description: str = ""
    events: tuple[EventType, ...] = ENDS
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    disabled: Disabled | None = None
    version: int = 0
    """0 until it is stored."""

    @property
    def ed25519(self) -> bool:
        return self.keys[0].private is not None

    def wants(self, event: EventType) -> bool:
        return event in self.events

    def signing(self, now: datetime) -> tuple[SigningKey, ...]:
        return in_force(self.keys, now)

    def rotated(self, successor: SigningKey, *, overlap: timedelta, now: datetime) -> "Endpoint":
        return replace(self, keys=rotated(self.keys, successor, overlap=overlap, now=now))

    def with_ed25519(self, *, wanted: bool) -> "Endpoint":
        """Switch Ed25519 on or off. The secret stays; each time it is switched on, the public key is a new one."""
        if wanted == self.ed25519:
            return self
        current = replace(self.keys[0], private=new_private() if wanted else None)
        return replace(self, keys=(current, *self.keys[1:]))

    def disabled_for(self, reason: Reason, now: datetime) -> "Endpoint":
        """Disable it. An endpoint that is disabled already keeps its reason."""
        return self if self.disabled is not None else replace(self, disabled=Disabled(reason, now))

    def enabled(self) -> "Endpoint":
        return replace(self, disabled=None)


@dataclass(frozen=True, slots=True)
class Health:
    """Failures of an endpoint since its last success."""

    failing_since: datetime | None = None
    """When the streak of failures began; None: no streak yet."""
    percent: int = 0
    """Share of the allowed failing time that has passed."""
    warned_percent: int = 0
    """The last stage at which the tenant was warned."""
    failures: int = 0
    """Attempts that failed since the last success."""

    def stage(self) -> int | None:
        """Return the stage that is reached and was not announced yet."""
        reached = max((stage for stage in STAGES if stage <= self.percent), default=0)
        return reached if reached > self.warned_percent else None


@dataclass(frozen=True, slots=True)
class ReceiverPosition:
    """A receiver in the list of those that only fail, as of when it was read: its queue, and its first failure."""

    queue_name: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed attempts of a receiver since its last success."""

    since: datetime
    """The first of them."""
    last_at: datetime
    count: int
    is_streak: bool = False
    """Whether they have lasted long enough to count towards the disabling of the endpoint."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an endpoint may fail. One bad hour, or two with no attempts between them, is not a streak."""

    total: timedelta = timedelta(days=5)
    """Time without any success after which it is disabled."""
    apart: timedelta = timedelta(hours=12)
    """A streak begins when two failures are at least this far apart."""
    within: timedelta = timedelta(hours=24)
    """Failures further apart than this are not one streak."""
