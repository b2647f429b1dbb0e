"""``/admin/v1``: hold dispatch, let it go, run empty; of the whole account and of one tenant."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter
from typing_extensions import TypedDict

from service.api.admin.schemas import TenantView
from service.api.admin.tenants import IF_MATCH, if_match, operator, tenant_answer
from service.api.http.dependencies import json_body, runtime
from service.api.http.responses import json_response
from service.api.schemas import body_of, problems
from service.domain.dispatch_gate import Gate
from service.domain.generation_view import rfc3339
from service.domain.request import parse

router = APIRouter(prefix="/admin/v1", tags=["admin"], dependencies=[Depends(operator)])


class Reason(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    reason: Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]


class DispatchView(TypedDict):
    """``state``: open; paused by an operator; locked or failing, as fal's answers say; ``retry_at``: its next try.

    ``held_tenants``: tenants whose own submits fail while others' go on. ``failed_generations`` of ``failed_tenants``
    tenants: whose submits failed since the last accepted one. ``submits_at_once``: how many may be under way.
    """

    object: Literal["dispatch"]
    state: Literal["open", "paused", "locked", "failing"]
    reason: str | None
    since: str | None
    retry_at: str | None
    draining: bool
    paused_tenants: int
    held_tenants: int
    failed_generations: int
    failed_tenants: int
    submits_at_once: int


REASON: Final = TypeAdapter(Reason)
_BODY: Final = (400, 401, 408, 413, 415, 422, 503)


def dispatch_view(gate: Gate) -> DispatchView:
    return {
        "object": "dispatch",
        "state": "open" if gate.hold is None else gate.hold.value,
        "reason": gate.reason or None,
        "since": None if gate.since is None else rfc3339(gate.since),
        "retry_at": None if gate.retry_at is None else rfc3339(gate.retry_at),
        "draining": gate.draining,
        "paused_tenants": gate.paused_tenants,
        "held_tenants": gate.held_tenants,
        "failed_generations": gate.failed_generations,
        "failed_tenants": gate.failed_tenants,
        "submits_at_once": gate.submits_at_once,
    }


@router.get(
    "/dispatch",
    summary="Whether anything is dispatched, and why not",
    responses={200: {"model": DispatchView}, **problems(401, 503)},
)
async def read_dispatch(request: Request) -> Response:
    return json_response(dispatch_view(await runtime(request).operations.gate.read()))


@router.post(
    "/pause",
    summary="Dispatch nothing until resumed; polls and webhooks go on",
    responses={200: {"model": DispatchView}, **problems(*_BODY)},
    openapi_extra=body_of(Reason),
)
async def pause(request: Request) -> Response:
    wanted = parse(REASON, await json_body(request))
    return json_response(dispatch_view(await runtime(request).operations.gate.pause(wanted.reason)))


@router.post(
    "/drain",
    summary="Accept nothing new until resumed; what was accepted runs out",
    responses={200: {"model": DispatchView}, **problems(*_BODY)},
    openapi_extra=body_of(Reason),
)
async def drain(request: Request) -> Response:
    wanted = parse(REASON, await json_body(request))
    return json_response(dispatch_view(await runtime(request).operations.gate.drain(wanted.reason)))


@router.post(
    "/resume",
    summary="Accept and dispatch again, whatever held it",
    responses={200: {"model": DispatchView}, **problems(401, 503)},
)
async def resume(request: Request) -> Response:
    return json_response(dispatch_view(await runtime(request).operations.gate.resume()))


@router.post(
    "/tenants/{tenant_id}/pause",
    summary="Dispatch nothing of a tenant; its keys go on",
    responses={200: {"model": TenantView}, **problems(400, 401, 404, 408, 412, 413, 415, 422, 503)},
    openapi_extra={**body_of(Reason), "parameters": [IF_MATCH]},
)
async def pause_tenant(request: Request, tenant_id: str) -> Response:
    wanted = parse(REASON, await json_body(request))
    tenant = await runtime(request).tenants.service.pause(tenant_id, wanted.reason, version=if_match(request))
    return tenant_answer(tenant)


@router.post(
    "/tenants/{tenant_id}/resume",
    summary="Take a suspended tenant's keys, dispatch a paused one's generations",
    responses={200: {"model": TenantView}, **problems(401, 404, 412, 422, 503)},
    openapi_extra={"parameters": [IF_MATCH]},
)
async def resume_tenant(request: Request, tenant_id: str) -> Response:
    return tenant_answer(await runtime(request).tenants.service.resume(tenant_id, version=if_match(request)))
