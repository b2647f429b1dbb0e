"""``/admin/v1/deliveries`` and ``/admin/v1/failing-receivers``: webhooks of all tenants, without their bodies."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.api.admin.webhook_schemas import (
    FailingReceiverList,
    OperatorDeliveryDetailView,
    OperatorDeliveryList,
    operator_delivery_detail,
    operator_delivery_view,
    receiver_view,
)
from service.api.http.audited import AuditedRoute
from service.api.http.cursors import page_of
from service.api.http.delivery_queries import DeliveryQuery
from service.api.http.dependencies import ON_CALL, VIEWER, Gateway, json_of
from service.api.schemas import problems
from service.domain.reason import ActReason

router = APIRouter(prefix="/admin/v1", tags=["admin"], route_class=AuditedRoute)


@router.get(
    "/deliveries",
    summary="List deliveries of all tenants, newest first",
    dependencies=[VIEWER],
    description="Without bodies. Dead letters (`status=dead`) are listed over all tenants. All others need "
    "`tenant_id` or `generation_id`. Deliveries of a deleted tenant are listed by its id until they are purged.",
    responses=problems(422),
)
async def list_all_deliveries(
    gateway: Gateway,
    query: DeliveryQuery,
    tenant_id: Annotated[
        str | None, Query(max_length=64, description="Only deliveries of this tenant. Default: all.")
    ] = None,
) -> OperatorDeliveryList:
    page = await gateway.webhooks.all_deliveries.page(
        query.filter, tenant_id=tenant_id, limit=query.limit, after=query.after
    )
    return page_of([operator_delivery_view(delivery) for delivery in page.items], page.after)


@router.get(
    "/deliveries/{delivery_id}",
    summary="Read a delivery of any tenant",
    dependencies=[VIEWER],
    description="The newest 24 attempts with the responses of the receiver. Without the body, which has data of the "
    "tenant.",
)
async def read_any_delivery(gateway: Gateway, delivery_id: str) -> OperatorDeliveryDetailView:
    return operator_delivery_detail(await gateway.webhooks.all_deliveries.get(delivery_id))


@router.post(
    "/deliveries/{delivery_id}/replay",
    summary="Send a delivery of any tenant again",
    dependencies=[ON_CALL],
    description="Same id, same body, and all attempts of the schedule again. A pending delivery is attempted now. If "
    "an attempt is under way, nothing changes.",
    status_code=202,
    responses=problems(409),
)
async def replay_delivery(
    gateway: Gateway,
    body: Annotated[ActReason, json_of(ActReason)],  # noqa: ARG001  (required, for the audit trail)
    delivery_id: str,
) -> OperatorDeliveryDetailView:
    return operator_delivery_detail(await gateway.webhooks.all_deliveries.replay(delivery_id))


@router.get(
    "/failing-receivers",
    summary="List receivers that only fail",
    dependencies=[VIEWER],
    description="Of all tenants, those that fail longest first. A receiver is listed from its first failed attempt "
    "until its next success, or until it has had no attempt for 10 days.",
)
async def list_failing_receivers(
    gateway: Gateway,
    minutes: Annotated[
        int, Query(ge=0, le=14_400, description="Only receivers that fail for this long or longer.")
    ] = 60,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> FailingReceiverList:
    found, count = await gateway.webhooks.all_deliveries.failing_receivers(minutes=minutes, limit=limit)
    return {"object": "list", "data": [receiver_view(each) for each in found], "count": count}
