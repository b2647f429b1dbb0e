"""``/v1/deliveries``: what was sent to a tenant's receivers, how that went, and once more."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime

from service.api.http.cursors import decode_cursor, encode_cursor
from service.api.http.dependencies import json_body, runtime, tenant
from service.api.http.responses import json_response
from service.api.http.timestamps import in_range
from service.api.schemas import body_of, problems
from service.api.v1.webhook_schemas import (
    REPLAY_BODY,
    DeliveryDetailView,
    DeliveryList,
    ReplayBody,
    ReplayView,
    delivery_detail,
    delivery_view,
)
from service.domain import ids
from service.domain.request import parse
from service.domain.tenant import Scope
from service.domain.webhook import DeliveryFilter, DeliveryStatus, EventType

router = APIRouter(prefix="/v1/deliveries", tags=["webhooks"])

_PROBLEMS: Final = (401, 403, 404, 429, 503)


@router.get(
    "",
    summary="List deliveries, newest first",
    responses={200: {"model": DeliveryList}, **problems(401, 403, 422, 429, 503)},
)
async def list_(
    request: Request,
    status: DeliveryStatus | None = None,
    endpoint_id: Annotated[
        str | None, Query(max_length=64, description="Only deliveries of this endpoint. Default: all.")
    ] = None,
    generation_id: Annotated[
        str | None, Query(max_length=64, description="Only deliveries of this generation. Default: all.")
    ] = None,
    event: EventType | None = None,
    created_after: AwareDatetime | None = None,
    created_before: AwareDatetime | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    caller = await tenant(request, Scope.READ)
    wanted = DeliveryFilter(
        status=status,
        endpoint_id=endpoint_id,
        generation_id=generation_id,
        event=event,
        created_after=in_range(created_after, "/created_after"),
        created_before=in_range(created_before, "/created_before"),
    )
    after = None if cursor is None else decode_cursor(cursor, ids.DELIVERY)
    page = await runtime(request).webhooks.deliveries.list(caller, wanted, limit=limit, after=after)
    answer: DeliveryList = {
        "object": "list",
        "data": [delivery_view(delivery) for delivery in page.items],
        "has_more": page.after is not None,
        "next_cursor": None if page.after is None else encode_cursor(page.after),
    }
    return json_response(answer)


@router.post(
    "/replay",
    summary="Send deliveries again",
    description="Sends all dead (or delivered) deliveries that match, 500 a call. Skips deliveries with an attempt "
    "under way, "
    "and those of endpoints that are disabled or deleted.",
    responses={200: {"model": ReplayView}, **problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503)},
    openapi_extra=body_of(ReplayBody),
)
async def replay(request: Request) -> Response:
    caller = await tenant(request, Scope.MANAGE)
    body = parse(REPLAY_BODY, await json_body(request))
    wanted = DeliveryFilter(
        status=DeliveryStatus(body.status),
        endpoint_id=body.endpoint_id,
        event=body.event,
        created_after=in_range(body.created_after, "/created_after"),
        created_before=in_range(body.created_before, "/created_before"),
    )
    after = None if body.cursor is None else decode_cursor(body.cursor, ids.DELIVERY)
    done = await runtime(request).webhooks.deliveries.replay(caller, wanted, after=after)
    answer: ReplayView = {
        "object": "replay",
        "replayed": done.replayed,
        "skipped": done.skipped,
        "has_more": done.after is not None,
        "next_cursor": None if done.after is None else encode_cursor(done.after),
    }
    return json_response(answer)


@router.get(
    "/{delivery_id}",
    summary="Read a delivery and its attempts",
    responses={200: {"model": DeliveryDetailView}, **problems(*_PROBLEMS)},
)
async def read(request: Request, delivery_id: str) -> Response:
    caller = await tenant(request, Scope.READ)
    return json_response(delivery_detail(await runtime(request).webhooks.deliveries.get(caller, delivery_id)))


@router.post(
    "/{delivery_id}/redeliver",
    summary="Send a delivery again",
    description="Same id, same body, and all attempts of the schedule again. A pending delivery is attempted now. "
    "If an "
    "attempt is under way, nothing changes.",
    status_code=202,
    responses={202: {"model": DeliveryDetailView}, **problems(401, 403, 404, 409, 429, 503)},
)
async def redeliver(request: Request, delivery_id: str) -> Response:
    caller = await tenant(request, Scope.MANAGE)
    delivery = await runtime(request).webhooks.deliveries.redeliver(caller, delivery_id)
    return json_response(delivery_detail(delivery), status=202)
