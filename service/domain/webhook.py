"""Webhook events, their deliveries, and the attempts of a delivery."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal
from urllib.parse import urlsplit, urlunsplit

from service.domain import ids

#: Newest attempts in a record. A round of the schedule has eight, and a delivery can be replayed many times.
ATTEMPTS_KEPT: Final = 24
_ORIGIN_LENGTH: Final = 16


class EventType(StrEnum):
    SUBMITTED = "generation.submitted"
    IN_PROGRESS = "generation.in_progress"
    SUCCEEDED = "generation.succeeded"
    FAILED = "generation.failed"
    CANCELED = "generation.canceled"
    FAILING = "endpoint.failing"
    DISABLED = "endpoint.disabled"
    TEST = "webhook.test"


#: Events that an endpoint receives by default: the ends of generations.
ENDS: Final = (EventType.SUCCEEDED, EventType.FAILED, EventType.CANCELED)


#: Format and signature of a webhook: Standard Webhooks, fal's or OpenRouter's.
WebhookStyle = Literal["standard", "fal", "openrouter"]


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One POST of a delivery: the response of the receiver, or the error."""

    at: datetime
    latency_ms: int
    status: int | None = None
    error: str | None = None
    answer: str = ""
    """First kilobyte of the body of the response."""
    traceparent: str | None = None
    """Context of its span, to which the span of the next attempt links; None: no span was recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one URL. Every attempt sends the same bytes under the same id."""

    id: str
    tenant_id: str
    generation_id: str | None = None
    """None: no generation caused the event, as a test event."""
    endpoint_id: str | None = None
    """None: sent to the ``webhook_url`` of a request, signed with the secret of the tenant."""
    event: str
    url: str = ""
    """URL of the request; of an endpoint it is in the endpoint's record, which is encrypted."""
    body: str = ""
    """The bytes of each attempt, as text; ``""`` where deliveries are listed. All deliveries of an event share it."""
    sealed: bool = False
    """Whether ``body`` is encrypted: an event about an endpoint has the endpoint's URL."""
    style: WebhookStyle = "standard"
    created_at: datetime
    traceparent: str | None = None
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: tuple[Attempt, ...] = ()
    attempts_in_round: int = 0
    """Attempts since its creation or last replay: its position in the schedule."""
    total_attempts: int = 0
    """All attempts."""
    next_attempt_at: datetime | None = None
    version: int = 0

    @property
    def endpoint_queue(self) -> str:
        """Name of the endpoint queue: its deliveries share a receiver and a limit of concurrent attempts."""
        return f"{self.tenant_id}:{self.endpoint_id or _origin(self.url)}"

    def delivered(self, attempt: Attempt) -> "Delivery":
        return self._attempted(attempt, DeliveryStatus.DELIVERED, None)

    def postponed(self, attempt: Attempt, until: datetime) -> "Delivery":
        return self._attempted(attempt, DeliveryStatus.PENDING, until)

    def dead(self, attempt: Attempt) -> "Delivery":
        return self._attempted(attempt, DeliveryStatus.DEAD, None)

    def dead_lettered(self) -> "Delivery":
        """Make it a dead letter without another attempt: its endpoint is disabled or deleted."""
        return replace(self, status=DeliveryStatus.DEAD, next_attempt_at=None, version=self.version + 1)

    def replayed(self, now: datetime) -> "Delivery":
        """Start the schedule again. Earlier attempts stay in the record."""
        return replace(
            self, status=DeliveryStatus.PENDING, attempts_in_round=0, next_attempt_at=now, version=self.version + 1
        )

    def _attempted(self, attempt: Attempt, status: DeliveryStatus, until: datetime | None) -> "Delivery":
        return replace(
            self,
            attempts=(*self.attempts, attempt)[-ATTEMPTS_KEPT:],
            attempts_in_round=self.attempts_in_round + 1,
            total_attempts=self.total_attempts + 1,
            status=status,
            next_attempt_at=until,
            version=self.version + 1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Conditions that a delivery must all meet; None: no condition."""

    tenant_id: str | None = None
    status: DeliveryStatus | None = None
    endpoint_id: str | None = None
    generation_id: str | None = None
    event: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    """Both exclusive, to the millisecond."""

    def matches(self, delivery: Delivery) -> bool:
        """Return whether a delivery meets all conditions."""
        created = ids.milliseconds(delivery.created_at)
        return (
            self.takes(delivery)
            and (self.created_after is None or created > ids.milliseconds(self.created_after))
            and (self.created_before is None or created < ids.milliseconds(self.created_before))
        )

    def takes(self, delivery: Delivery) -> bool:
        """Return whether the delivery matches all but the times, which bound the range that is read."""
        return (
            self.tenant_id in (None, delivery.tenant_id)
            and self.status in (None, delivery.status)
            and self.endpoint_id in (None, delivery.endpoint_id)
            and self.generation_id in (None, delivery.generation_id)
            and self.event in (None, delivery.event)
        )


def without_credentials(url: str) -> str:
    """Return scheme, host, port and path of a URL: user, password and query may be secrets of its tenant."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _origin(url: str) -> str:
    """Return a short hash of scheme, host and port: all paths of a host belong to one receiver."""
    scheme, _, rest = url.lower().partition("://")
    authority = rest.partition("/")[0].partition("?")[0]
    return hashlib.sha256(f"{scheme}://{authority}".encode()).hexdigest()[:_ORIGIN_LENGTH]
