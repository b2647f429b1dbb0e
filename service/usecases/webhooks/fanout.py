"""Fan-out of events: the deliveries that an event causes, with their bodies."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from pydantic_core import to_json

from service.domain import fal_view, generation_view, ids, openrouter_view, webhook_endpoint_view
from service.domain.generation import Generation
from service.domain.status import PublicStatus
from service.domain.webhook import Delivery, DeliveryStatus, EventType
from service.domain.webhook_endpoint import Endpoint
from service.domain.webhook_endpoint_view import FailingView

#: The statuses of a generation that are events.
EVENTS: Final[Mapping[PublicStatus, EventType]] = {
    PublicStatus.SUBMITTED: EventType.SUBMITTED,
    PublicStatus.IN_PROGRESS: EventType.IN_PROGRESS,
    PublicStatus.SUCCEEDED: EventType.SUCCEEDED,
    PublicStatus.FAILED: EventType.FAILED,
    PublicStatus.CANCELED: EventType.CANCELED,
}


def deliveries_of(
    g: Generation, now: datetime, endpoints: Sequence[Endpoint] = (), *, public_url: str | None = None
) -> list[Delivery]:
    """Return the deliveries of the current status.

    They go to the endpoints that subscribe to it and, at the end, to the ``webhook_url`` of the request.
    ``public_url``: of the gateway, for the links in callbacks in OpenRouter's format.
    """
    kind = EVENTS.get(g.public_status)
    if kind is None or g.erased:
        return []
    subscribed = [endpoint for endpoint in endpoints if endpoint.wants(kind)]
    own = [g.webhook_url] if g.webhook_url is not None and g.is_terminal else []
    if not own and not subscribed:
        return []
    body = to_json(generation_view.event(kind, g, now)).decode()
    return [
        Delivery(
            id=ids.new(ids.DELIVERY, now),
            tenant_id=g.tenant_id,
            generation_id=g.id,
            endpoint_id=None if endpoint is None else endpoint.id,
            event=kind,
            url=url,
            body=body if endpoint is not None else _own_body(g, body, now, public_url),
            style="standard" if endpoint is not None else g.webhook_style,
            created_at=now,
            traceparent=g.traceparent,
            status=_status(endpoint),
        )
        for url, endpoint in [*((url, None) for url in own), *((each.url, each) for each in subscribed)]
    ]


def _own_body(g: Generation, standard: str, now: datetime, public_url: str | None) -> str:
    """Return the body for the ``webhook_url`` of the request, in the format of the API that it came through."""
    match g.webhook_style:
        case "standard":
            return standard
        case "fal":
            return fal_view.webhook(g)
        case "openrouter":
            return openrouter_view.callback(g, public_url or "", now)


def endpoint_events(
    endpoint: Endpoint, kind: EventType, others: Sequence[Endpoint], now: datetime, failing: FailingView | None = None
) -> list[Delivery]:
    """Return the deliveries of an event of an endpoint, to the tenant's other endpoints that subscribe to it."""
    body = to_json(webhook_endpoint_view.event(kind, endpoint, now, failing)).decode()
    return [
        _about_endpoint(other, kind, body, now)
        for other in others
        if other.id != endpoint.id and other.disabled is None and other.wants(kind)
    ]


def test_event(endpoint: Endpoint, now: datetime) -> Delivery:
    """Return the delivery of a test event to the endpoint, whatever its subscriptions."""
    body = to_json(webhook_endpoint_view.event(EventType.TEST, endpoint, now)).decode()
    return _about_endpoint(endpoint, EventType.TEST, body, now)


def _about_endpoint(to: Endpoint, kind: EventType, body: str, now: datetime) -> Delivery:
    return Delivery(
        id=ids.new(ids.DELIVERY, now),
        tenant_id=to.tenant_id,
        endpoint_id=to.id,
        event=kind,
        url=to.url,
        body=body,
        created_at=now,
    )


def _status(endpoint: Endpoint | None) -> DeliveryStatus:
    """Return DEAD for a disabled endpoint: the tenant can replay the delivery when the endpoint is enabled."""
    return DeliveryStatus.PENDING if endpoint is None or endpoint.disabled is None else DeliveryStatus.DEAD
