"""Events, deliveries and their attempts."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

#: Of a delivery's log, the newest are kept: a round of the schedule has eight, and it may be replayed many times.
ATTEMPTS_KEPT: Final = 24
_LANE_LENGTH: Final = 16


class EventType(StrEnum):
    SUBMITTED = "generation.submitted"
    IN_PROGRESS = "generation.in_progress"
    SUCCEEDED = "generation.succeeded"
    FAILED = "generation.failed"
    CANCELED = "generation.canceled"
    FAILING = "endpoint.failing"
    DISABLED = "endpoint.disabled"
    TEST = "webhook.test"


#: What an endpoint hears of unless it says otherwise: how generations ended.
ENDS: Final = (EventType.SUCCEEDED, EventType.FAILED, EventType.CANCELED)


#: Whose words the body is in, and whose signature it carries: ours (Standard Webhooks), or fal's.
WebhookStyle = Literal["standard", "fal"]


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One POST: what came back, or why nothing did."""

    at: datetime
    latency_ms: int
    status: int | None = None
    error: str | None = None
    answer: str = ""
    """The first 1 kB of the answer's body."""
    traceparent: str | None = None
    """Of its span, which the next attempt's is linked to; None: there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one URL. The body is frozen: every attempt sends the same bytes under the same id."""

    id: str
    tenant_id: str
    generation_id: str | None = None
    """None: no generation caused it, such as a test event."""
    endpoint_id: str | None = None
    """None: it goes to the ``webhook_url`` of a request, signed with the tenant's own secret."""
    event: str
    url: str
    body: str
    style: WebhookStyle = "standard"
    created_at: datetime
    traceparent: str | None = None
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: tuple[Attempt, ...] = ()
    tried: int = 0
    """Attempts since it was made or last replayed: where it stands in the schedule."""
    made: int = 0
    """Attempts in all."""
    next_attempt_at: datetime | None = None
    version: int = 0

    @property
    def lane(self) -> str:
        """Deliveries of one lane share a receiver, and what it may have under way at a time."""
        return f"{self.tenant_id}:{self.endpoint_id or _origin(self.url)}"

    def delivered(self, attempt: Attempt) -> "Delivery":
        return self._attempted(attempt, DeliveryStatus.DELIVERED, None)

    def postponed(self, attempt: Attempt, until: datetime) -> "Delivery":
        return self._attempted(attempt, DeliveryStatus.PENDING, until)

    def dead(self, attempt: Attempt) -> "Delivery":
        return self._attempted(attempt, DeliveryStatus.DEAD, None)

    def buried(self) -> "Delivery":
        """Dead without another attempt: its endpoint is disabled, or gone."""
        return replace(self, status=DeliveryStatus.DEAD, next_attempt_at=None, version=self.version + 1)

    def replayed(self, now: datetime) -> "Delivery":
        """The whole schedule once more; the log goes on."""
        return replace(self, status=DeliveryStatus.PENDING, tried=0, next_attempt_at=now, version=self.version + 1)

    def _attempted(self, attempt: Attempt, status: DeliveryStatus, until: datetime | None) -> "Delivery":
        return replace(
            self,
            attempts=(*self.attempts, attempt)[-ATTEMPTS_KEPT:],
            tried=self.tried + 1,
            made=self.made + 1,
            status=status,
            next_attempt_at=until,
            version=self.version + 1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    status: DeliveryStatus | None = None
    endpoint_id: str | None = None
    generation_id: str | None = None
    event: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    def takes(self, delivery: Delivery) -> bool:
        """Whether all but the moments, which bound the range that is read, are met."""
        return (
            self.status in (None, delivery.status)
            and self.endpoint_id in (None, delivery.endpoint_id)
            and self.generation_id in (None, delivery.generation_id)
            and self.event in (None, delivery.event)
        )


def _origin(url: str) -> str:
    """Scheme, host and port in a few letters: all paths of a host are one receiver."""
    scheme, _, rest = url.lower().partition("://")
    authority = rest.partition("/")[0].partition("?")[0]
    return hashlib.sha256(f"{scheme}://{authority}".encode()).hexdigest()[:_LANE_LENGTH]
