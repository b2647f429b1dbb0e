"""Webhook endpoints: where a tenant wants events, which ones, and how long a receiver may fail."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from service.domain.signing import SigningKey, in_force, new_private, rotated
from service.domain.webhook import ENDS, EventType

#: Enough for every service a tenant runs; all of them are read when one of its generations moves.
MOST_ENDPOINTS: Final = 20
#: Percent of the time an endpoint may fail, at which its tenant hears of it; at the last one it is disabled.
STAGES: Final = (50, 70, 90, 100)

Reason = Literal["requested", "gone", "failing"]


@dataclass(frozen=True, slots=True)
class Disabled:
    """``requested`` by the tenant; ``gone``: it answered 410; ``failing`` for as long as the operator allows."""

    reason: Reason
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Sealed as a whole wherever it is stored: its headers may be secrets too."""

    id: str
    tenant_id: str
    url: str = field(repr=False)
    keys: tuple[SigningKey, ...] = field(repr=False)
    """The current one first."""
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
        """The secret stays; the public key is a new one whenever it is asked for anew."""
        if wanted == self.ed25519:
            return self
        current = replace(self.keys[0], private=new_private() if wanted else None)
        return replace(self, keys=(current, *self.keys[1:]))

    def disabled_for(self, reason: Reason, now: datetime) -> "Endpoint":
        """The first reason counts."""
        return self if self.disabled is not None else replace(self, disabled=Disabled(reason, now))

    def enabled(self) -> "Endpoint":
        return replace(self, disabled=None)


@dataclass(frozen=True, slots=True)
class Health:
    """What the attempts to reach a receiver came to, since one last succeeded."""

    failing_since: datetime | None = None
    """When the streak began; None until failures are far enough apart to be one."""
    percent: int = 0
    """Of the time it may fail."""
    told: int = 0
    """The last stage its tenant heard of."""

    def stage(self) -> int | None:
        """The stage it has reached and nobody was told of yet."""
        reached = max((stage for stage in STAGES if stage <= self.percent), default=0)
        return reached if reached > self.told else None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a receiver may fail. One bad hour, or two with nothing to send between them, is no streak."""

    total: timedelta = timedelta(days=5)
    """Of nothing but failures, after which it is disabled."""
    apart: timedelta = timedelta(hours=12)
    """A streak begins once its first failures are this far apart,"""
    within: timedelta = timedelta(hours=24)
    """and no further than this."""
