"""The endpoint object of the API, in responses and webhooks. It never contains a secret."""

from datetime import datetime
from typing import Literal

from typing_extensions import TypedDict

from service.domain.described import Timestamp, described
from service.domain.generation_view import rfc3339
from service.domain.webhook import EventType
from service.domain.webhook_endpoint import Endpoint, Reason


@described
class DisabledView(TypedDict):
    reason: Reason
    """`requested`: you or an operator disabled it. `gone`: it answered 410. `failing`: every attempt failed for 5 days
    (a setting of the operator).
    """
    at: Timestamp
    """When it was disabled, RFC 3339 in UTC with milliseconds."""


@described
class FailingView(TypedDict):
    since: Timestamp
    """When the failures began, RFC 3339 in UTC with milliseconds."""
    attempts: int
    """Attempts that failed since the last success."""
    percent: int
    """Share in percent of the time that it may fail: 0 until failures are 12 hours apart. At 50, 70 and 90 your other
    endpoints receive `endpoint.failing`, at 100 it is disabled.
    """


@described
class EndpointView(TypedDict):
    id: str
    """Id of the endpoint, `whe_` and 26 characters."""
    object: Literal["webhook_endpoint"]
    """Always `webhook_endpoint`."""
    url: str
    """URL that receives the events."""
    description: str
    """Your note. Empty if you gave none."""
    events: list[EventType]
    """Event types that the endpoint receives."""
    headers: list[str]
    """Names of the headers that every event carries. Their values are never shown, because they may be secrets."""
    ed25519: bool
    """Whether events carry an Ed25519 signature (`v1a`) as well as the HMAC."""
    enabled: bool
    """Whether events are sent."""
    disabled: DisabledView | None
    """Why and when it was disabled. `null` while it is enabled."""
    failing: FailingView | None
    """How long its failures last. `null` if the last attempt succeeded, or there was none."""
    created_at: Timestamp
    """When it was registered, RFC 3339 in UTC with milliseconds."""


@described
class EndpointEventView(TypedDict):
    """The body of a webhook about an endpoint, or of a test."""

    type: EventType
    """Type of the event: `endpoint.failing`, `endpoint.disabled` or `webhook.test`."""
    timestamp: Timestamp
    """When the event happened, RFC 3339 in UTC with milliseconds."""
    data: EndpointView
    """The endpoint that the event is about."""


def public(endpoint: Endpoint, failing: FailingView | None = None) -> EndpointView:
    disabled = endpoint.disabled
    return {
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "url": endpoint.url,
        "description": endpoint.description,
        "events": list(endpoint.events),
        "headers": sorted(endpoint.headers),
        "ed25519": endpoint.ed25519,
        "enabled": disabled is None,
        "disabled": None if disabled is None else {"reason": disabled.reason, "at": rfc3339(disabled.at)},
        "failing": failing,
        "created_at": rfc3339(endpoint.created_at),
    }


def event(kind: EventType, endpoint: Endpoint, now: datetime, failing: FailingView | None = None) -> EndpointEventView:
    return {"type": kind, "timestamp": rfc3339(now), "data": public(endpoint, failing)}
