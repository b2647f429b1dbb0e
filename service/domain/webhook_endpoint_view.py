"""What a tenant sees of a webhook endpoint, in answers and in events: its secrets never."""

from datetime import datetime
from typing import Literal

from typing_extensions import TypedDict

from service.domain.generation_view import rfc3339
from service.domain.webhook import EventType
from service.domain.webhook_endpoint import Endpoint, Reason


class DisabledView(TypedDict):
    reason: Reason
    at: str


class FailingView(TypedDict):
    since: str
    percent: int


class EndpointView(TypedDict):
    """``headers``: names only, their values may be secrets. ``failing``: of the time it may, before it is disabled."""

    id: str
    object: Literal["webhook_endpoint"]
    url: str
    description: str
    events: list[EventType]
    headers: list[str]
    ed25519: bool
    enabled: bool
    disabled: DisabledView | None
    failing: FailingView | None
    created_at: str


class EndpointEventView(TypedDict):
    """The body of a webhook about an endpoint, or of a test."""

    type: EventType
    timestamp: str
    data: EndpointView


def public(endpoint: Endpoint, failing: FailingView | None = None) -> EndpointView:
    gone = endpoint.disabled
    return {
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "url": endpoint.url,
        "description": endpoint.description,
        "events": list(endpoint.events),
        "headers": sorted(endpoint.headers),
        "ed25519": endpoint.ed25519,
        "enabled": gone is None,
        "disabled": None if gone is None else {"reason": gone.reason, "at": rfc3339(gone.at)},
        "failing": failing,
        "created_at": rfc3339(endpoint.created_at),
    }


def event(kind: EventType, endpoint: Endpoint, now: datetime, failing: FailingView | None = None) -> EndpointEventView:
    return {"type": kind, "timestamp": rfc3339(now), "data": public(endpoint, failing)}
