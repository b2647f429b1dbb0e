"""``/v1/deliveries``: list webhook deliveries and replay them."""

from typing import Annotated

from fastapi import APIRouter

from service.api.http.audited import AuditedRoute
from service.api.http.cursors import decode_cursor, encode_cursor, page_of
from service.api.http.delivery_queries import DeliveryQuery
from service.api.http.dependencies import Gateway, Manager, Reader, json_of
from service.api.schemas import problems
from service.api.v1.delivery_schemas import (
    DeliveryDetailView,
    DeliveryList,
    ReplayBody,
    ReplayView,
    delivery_detail,
    delivery_view,
)
from service.domain import ids
from service.domain.timestamps import in_range
from service.domain.webhook import DeliveryFilter, DeliveryStatus

router = APIRouter(prefix="/v1/deliveries", tags=["webhooks"], route_class=AuditedRoute)


@router.get(
    "",
    summary="List deliveries, newest first",
    description="Without their bodies and attempts. The filters can be combined.",
)
async def list_deliveries(gateway: Gateway, caller: Reader, query: DeliveryQuery) -> DeliveryList:
    page = await gateway.webhooks.deliveries.list(caller, query.filter, limit=query.limit, after=query.after)
    return page_of([delivery_view(delivery) for delivery in page.items], page.after)


@router.post(
    "/replay",
    summary="Send deliveries again",
    description="Sends all dead (or delivered) deliveries that match, 500 a call. Skips deliveries with an attempt "
    "under way, and those of endpoints that are disabled or deleted.",
    responses=problems(404, 409),
)
async def replay_deliveries(
    gateway: Gateway, caller: Manager, body: Annotated[ReplayBody, json_of(ReplayBody)]
) -> ReplayView:
    wanted = DeliveryFilter(
        status=DeliveryStatus(body.status),
        endpoint_id=body.endpoint_id,
        event=body.event,
        created_after=in_range(body.created_after, "/created_after"),
        created_before=in_range(body.created_before, "/created_before"),
    )
    after = decode_cursor(body.cursor, ids.DELIVERY, "/cursor")
    done = await gateway.webhooks.deliveries.replay(caller, wanted, after=after)
    return {
        "object": "replay",
        "replayed": done.replayed,
        "skipped": done.skipped,
        "has_more": done.after is not None,
        "next_cursor": None if done.after is None else encode_cursor(done.after),
    }


@router.get(
    "/{delivery_id}",
    summary="Read a delivery and its attempts",
    description="The body as it is sent, and the newest attempts with their responses.",
)
async def read_delivery(gateway: Gateway, caller: Reader, delivery_id: str) -> DeliveryDetailView:
    return delivery_detail(await gateway.webhooks.deliveries.get(caller, delivery_id))


@router.post(
    "/{delivery_id}/redeliver",
    summary="Send a delivery again",
    description="Same id, same body, and all attempts of the schedule again. A pending delivery is attempted now. If "
    "an attempt is under way, nothing changes.",
    status_code=202,
    responses=problems(409),
)
async def redeliver_event(gateway: Gateway, caller: Manager, delivery_id: str) -> DeliveryDetailView:
    delivery = await gateway.webhooks.deliveries.redeliver(caller, delivery_id)
    return delivery_detail(delivery)
