"""Deliveries, endpoints and receivers as operators see them. URLs are without user, password and query."""

from typing import Literal

from typing_extensions import TypedDict

from service.api.v1.delivery_schemas import AttemptView, DeliveryView, attempt_view, delivery_view
from service.domain.described import Timestamp, described
from service.domain.generation_view import rfc3339
from service.domain.webhook import Delivery, without_credentials
from service.domain.webhook_endpoint import Endpoint
from service.domain.webhook_endpoint_view import EndpointView, FailingView, public
from service.store.webhooks.receivers import FailingReceiver


@described
class OperatorDeliveryView(DeliveryView):
    tenant_id: str
    """The tenant."""


@described
class OperatorDeliveryDetailView(DeliveryView):
    tenant_id: str
    """The tenant."""
    attempts: list[AttemptView]
    """The newest 24 attempts, oldest first."""


@described
class OperatorDeliveryList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[OperatorDeliveryView]
    """Deliveries, newest first."""
    has_more: bool
    """Whether entries follow this page."""
    next_cursor: str | None
    """Send it as `cursor` to read the next page. `null` on the last page."""


@described
class OperatorEndpointView(EndpointView):
    tenant_id: str
    """The tenant."""


@described
class OperatorEndpointList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[OperatorEndpointView]
    """The endpoints of the tenant, oldest first, disabled ones included."""


@described
class FailingReceiverView(TypedDict):
    object: Literal["failing_receiver"]
    """Always `failing_receiver`."""
    tenant_id: str
    """The tenant."""
    tenant_name: str | None
    """Name of the tenant. `null`: it was deleted."""
    endpoint_id: str | None
    """The webhook endpoint. `null`: the receiver of a `webhook_url`, or the endpoint was deleted."""
    enabled: bool | None
    """Whether the endpoint is enabled. `null` without an endpoint."""
    url: str | None
    """URL without user, password and query. `null`: it is not known any more."""
    since: Timestamp
    """The first failure since the last success, RFC 3339 in UTC with milliseconds."""
    last_failure_at: Timestamp
    """The newest failure, RFC 3339 in UTC with milliseconds."""
    attempts: int
    """Attempts that failed since the last success."""
    pending: int
    """Deliveries that wait for their next attempt."""
    last_attempt: AttemptView | None
    """The newest attempt of the pending delivery that is due first. `null`: none is pending, or it had no attempt."""


@described
class FailingReceiverList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[FailingReceiverView]
    """Receivers, those that fail longest first."""
    count: int
    """All receivers that fail for this long, also those beyond `limit`."""


def operator_delivery_view(delivery: Delivery) -> OperatorDeliveryView:
    return {
        **delivery_view(delivery),
        "url": without_credentials(delivery.url) or None,
        "tenant_id": delivery.tenant_id,
    }


def operator_delivery_detail(delivery: Delivery) -> OperatorDeliveryDetailView:
    attempts = [attempt_view(attempt) for attempt in delivery.attempts]
    return {**operator_delivery_view(delivery), "attempts": attempts}


def operator_endpoint_view(endpoint: Endpoint, failing: FailingView | None) -> OperatorEndpointView:
    shown = public(endpoint, failing)
    return {**shown, "url": without_credentials(endpoint.url), "tenant_id": endpoint.tenant_id}


def receiver_view(receiver: FailingReceiver) -> FailingReceiverView:
    endpoint, last = receiver.endpoint, receiver.last_attempt
    return {
        "object": "failing_receiver",
        "tenant_id": receiver.tenant_id,
        "tenant_name": receiver.tenant_name,
        "endpoint_id": None if endpoint is None else endpoint.id,
        "enabled": None if endpoint is None else endpoint.disabled is None,
        "url": without_credentials(receiver.url) or None,
        "since": rfc3339(receiver.failures.since),
        "last_failure_at": rfc3339(receiver.failures.last_at),
        "attempts": receiver.failures.count,
        "pending": receiver.pending,
        "last_attempt": None if last is None else attempt_view(last),
    }
