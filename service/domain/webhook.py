"""Events, deliveries and their attempts; signed by Standard Webhooks 1.0."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  (a prefix, by the standard)
_SECRET_BYTES: Final = 32


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one URL. The body is frozen: every attempt sends the same bytes under the same id."""

    id: str
    tenant_id: str
    generation_id: str
    event: str
    url: str
    body: str
    style: WebhookStyle = "standard"
    created_at: datetime
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: tuple[Attempt, ...] = ()
    next_attempt_at: datetime | None = None

    @property
    def version(self) -> int:
        return len(self.attempts)

    def delivered(self, attempt: Attempt) -> "Delivery":
        return self._attempted(attempt, DeliveryStatus.DELIVERED, None)

    def postponed(self, attempt: Attempt, until: datetime) -> "Delivery":
        return self._attempted(attempt, DeliveryStatus.PENDING, until)

    def dead(self, attempt: Attempt) -> "Delivery":
        return self._attempted(attempt, DeliveryStatus.DEAD, None)

    def _attempted(self, attempt: Attempt, status: DeliveryStatus, until: datetime | None) -> "Delivery":
        return replace(self, attempts=(*self.attempts, attempt), status=status, next_attempt_at=until)


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signed_headers(secret: str, delivery_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """The three Standard Webhooks headers; the signature covers ``id.timestamp.body``."""
    timestamp = str(int(now.timestamp()))
    message = b".".join((delivery_id.encode(), timestamp.encode(), body))
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signature = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
    return {"webhook-id": delivery_id, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}
