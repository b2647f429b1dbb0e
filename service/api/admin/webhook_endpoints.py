"""``/admin/v1/tenants/{tenant_id}/webhook-endpoints``: their health; enable, disable, test."""

from typing import Annotated

from fastapi import APIRouter

from service.api.admin.webhook_schemas import (
    OperatorDeliveryView,
    OperatorEndpointList,
    OperatorEndpointView,
    operator_delivery_view,
    operator_endpoint_view,
)
from service.api.http.audited import AuditedRoute
from service.api.http.dependencies import ON_CALL, VIEWER, Gateway, json_of
from service.api.schemas import problems
from service.domain.reason import ActReason
from service.domain.webhook_endpoint import Endpoint

router = APIRouter(prefix="/admin/v1/tenants/{tenant_id}/webhook-endpoints", tags=["admin"], route_class=AuditedRoute)
#: A reason is required, for the audit trail.
Act = Annotated[ActReason, json_of(ActReason)]


@router.get(
    "",
    summary="List the webhook endpoints of a tenant",
    dependencies=[VIEWER],
    description="With their failures, and without secrets and header values.",
)
async def list_endpoints_of_tenant(gateway: Gateway, tenant_id: str) -> OperatorEndpointList:
    endpoints = await gateway.webhooks.endpoints.list(await gateway.tenants.service.get(tenant_id))
    return {"object": "list", "data": await operator_endpoint_views(gateway, endpoints)}


@router.post(
    "/{endpoint_id}/enable",
    summary="Enable a webhook endpoint of a tenant",
    dependencies=[ON_CALL],
    description="Events are sent again, and its failures are reset. Dead letters stay: replay them.",
    responses=problems(412),
)
async def enable_endpoint(
    gateway: Gateway,
    body: Act,  # noqa: ARG001
    tenant_id: str,
    endpoint_id: str,
) -> OperatorEndpointView:
    tenant = await gateway.tenants.service.get(tenant_id)
    return await _view(gateway, await gateway.webhooks.endpoints.enable(tenant, endpoint_id))


@router.post(
    "/{endpoint_id}/disable",
    summary="Disable a webhook endpoint of a tenant",
    dependencies=[ON_CALL],
    description="No event is sent to it: its deliveries become dead letters, which can be replayed.",
    responses=problems(412),
)
async def disable_endpoint(
    gateway: Gateway,
    body: Act,  # noqa: ARG001
    tenant_id: str,
    endpoint_id: str,
) -> OperatorEndpointView:
    tenant = await gateway.tenants.service.get(tenant_id)
    return await _view(gateway, await gateway.webhooks.endpoints.disable(tenant, endpoint_id))


@router.post(
    "/{endpoint_id}/test",
    summary="Send a test event to a webhook endpoint of a tenant",
    dependencies=[ON_CALL],
    description="Sends `webhook.test`. Read the delivery for the outcome. Refused with 429 at the limit of undelivered "
    "test events, or of stored deliveries.",
    status_code=202,
    responses=problems(409, 412, 429),
)
async def send_test_event_of_tenant(
    gateway: Gateway,
    body: Act,  # noqa: ARG001
    tenant_id: str,
    endpoint_id: str,
) -> OperatorDeliveryView:
    tenant = await gateway.tenants.service.get(tenant_id)
    return operator_delivery_view(await gateway.webhooks.endpoints.test(tenant, endpoint_id))


async def operator_endpoint_views(gateway: Gateway, endpoints: list[Endpoint]) -> list[OperatorEndpointView]:
    """Return the views of endpoints, with their failures."""
    failing = await gateway.webhooks.endpoints.failing(endpoints)
    return [operator_endpoint_view(endpoint, found) for endpoint, found in zip(endpoints, failing, strict=True)]


async def _view(gateway: Gateway, endpoint: Endpoint) -> OperatorEndpointView:
    (view,) = await operator_endpoint_views(gateway, [endpoint])
    return view
