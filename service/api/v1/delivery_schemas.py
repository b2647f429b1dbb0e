"""Bodies and views of webhook deliveries."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from service.domain.described import Timestamp, describe, described
from service.domain.generation_view import rfc3339
from service.domain.timestamps import Moment
from service.domain.webhook import Attempt, Delivery, DeliveryStatus, EventType


class ReplayBody(BaseModel):
    """Which deliveries are sent again: all that match, 500 a call."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=describe)

    endpoint_id: Annotated[str | None, Field(max_length=64)] = None
    """Only deliveries of this endpoint. Default: of all endpoints and every `webhook_url`."""
    status: Literal["dead", "delivered"] = "dead"
    """Default `dead`. `delivered` sends received events again, under the same `webhook-id`."""
    event: EventType | None = None
    """Only deliveries of this event type. Default: all."""
    created_after: Moment | None = None
    """Only deliveries created after this time, to the millisecond (RFC 3339 with an offset). Default: no bound."""
    created_before: Moment | None = None
    """Only deliveries created before this time, to the millisecond (RFC 3339 with an offset). Default: no bound."""
    cursor: Annotated[str | None, Field(max_length=100)] = None
    """`next_cursor` of the previous call. Default: the newest delivery."""


@described
class AttemptView(TypedDict):
    at: Timestamp
    """When the attempt began, RFC 3339 in UTC with milliseconds."""
    latency_ms: int
    """Milliseconds until the response or the failure."""
    status: int | None
    """HTTP status of the receiver. `null`: no response."""
    error: str | None
    """Why there was no usable response, such as a timeout. `null`: the receiver responded."""
    answer: str
    """The first 1,000 bytes of the response body."""


@described
class DeliveryView(TypedDict):
    id: str
    """Id of the delivery, `msg_` and 26 characters: the `webhook-id` of every attempt."""
    object: Literal["delivery"]
    """Always `delivery`."""
    event: str
    """Type of the event."""
    status: DeliveryStatus
    """`pending`: attempts follow. `delivered`: the receiver answered 2xx. `dead`: all attempts failed, or the
    endpoint is disabled or deleted; it can be replayed.
    """
    endpoint_id: str | None
    """The webhook endpoint. `null`: it went to a `webhook_url`."""
    generation_id: str | None
    """The generation. `null`: the event is about an endpoint."""
    url: str | None
    """URL that the attempts go to. `null`: the endpoint is deleted."""
    attempt_count: int
    """Attempts in all, replays included."""
    next_attempt_at: Timestamp | None
    """When the next attempt is due, RFC 3339 in UTC with milliseconds. `null`: none follows."""
    created_at: Timestamp
    """When the event happened, RFC 3339 in UTC with milliseconds."""
    last_attempt: AttemptView | None
    """The newest attempt. `null`: none yet."""


@described
class DeliveryDetailView(DeliveryView):
    body: str
    """The body that every attempt sends, byte for byte."""
    attempts: list[AttemptView]
    """The newest 24 attempts, oldest first."""


@described
class DeliveryList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[DeliveryView]
    """Deliveries, newest first, without `body` and `attempts`."""
    has_more: bool
    """Whether entries follow this page."""
    next_cursor: str | None
    """Send it as `cursor` to read the next page. `null` on the last page."""


@described
class ReplayView(TypedDict):
    object: Literal["replay"]
    """Always `replay`."""
    replayed: int
    """Deliveries that are sent again."""
    skipped: int
    """Deliveries that match and are not sent: an attempt is under way, or the endpoint is disabled or deleted."""
    has_more: bool
    """Whether more deliveries match. Call again with `next_cursor`."""
    next_cursor: str | None
    """Send it as `cursor` in the next call. `null`: nothing is left."""


def delivery_view(delivery: Delivery) -> DeliveryView:
    return {
        "id": delivery.id,
        "object": "delivery",
        "event": delivery.event,
        "status": delivery.status,
        "endpoint_id": delivery.endpoint_id,
        "generation_id": delivery.generation_id,
        "url": delivery.url or None,
        "attempt_count": delivery.total_attempts,
        "next_attempt_at": None if delivery.next_attempt_at is None else rfc3339(delivery.next_attempt_at),
        "created_at": rfc3339(delivery.created_at),
        "last_attempt": attempt_view(delivery.attempts[-1]) if delivery.attempts else None,
    }


def delivery_detail(delivery: Delivery) -> DeliveryDetailView:
    return {
        **delivery_view(delivery),
        "body": delivery.body,
        "attempts": [attempt_view(attempt) for attempt in delivery.attempts],
    }


def attempt_view(attempt: Attempt) -> AttemptView:
    return {
        "at": rfc3339(attempt.at),
        "latency_ms": attempt.latency_ms,
        "status": attempt.status,
        "error": attempt.error,
        "answer": attempt.answer,
    }
