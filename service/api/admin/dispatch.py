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
from service.domain.described import described
from service.domain.dispatch_gate import Gate
from service.domain.generation_view import rfc3339
from service.domain.request import parse

router = APIRouter(prefix="/admin/v1", tags=["admin"], dependencies=[Depends(operator)])


class Reason(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", use_attribute_docstrings=True)

    reason: Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]
    """Why, 1 to 500 characters. `doctor` and `GET /admin/v1/dispatch` show it."""


@described
class DispatchView(TypedDict):
    object: Literal["dispatch"]
    """Always `dispatch`."""
    state: Literal["open", "paused", "locked", "failing"]
    """`open`: generations are submitted. `paused`: an operator paused dispatch. `locked`: fal refuses the key, or the
    balance is exhausted. `failing`: submits fail.
    """
    reason: str | None
    """Why dispatch is not open: the operator's reason, or fal's message. `null` while it is open."""
    since: str | None
    """When this state began, RFC 3339 in UTC with milliseconds. `null` while it is open."""
    retry_at: str | None
    """When the gateway tries one submit again. `null`: only an operator can resume."""
    draining: bool
    """Whether new generations are refused with 503 while accepted ones finish."""
    paused_tenants: int
    """Tenants that an operator paused."""
    held_tenants: int
    """Tenants whose own submits fail while those of others succeed. Their dispatch is held."""
    failed_generations: int
    """Generations whose submit failed since the last accepted submit."""
    failed_tenants: int
    """Tenants of these generations."""
    submits_at_once: int
    """Submits that may be under way at once. It grows with accepted submits and shrinks after failures."""


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
    summary="Read the state of dispatch",
    responses={200: {"model": DispatchView}, **problems(401, 503)},
)
async def read_dispatch(request: Request) -> Response:
    return json_response(dispatch_view(await runtime(request).operations.gate.read()))


@router.post(
    "/pause",
    summary="Pause dispatch",
    description="No generation is submitted until `resume`. Polls, callbacks and webhooks continue.",
    responses={200: {"model": DispatchView}, **problems(*_BODY)},
    openapi_extra=body_of(Reason),
)
async def pause(request: Request) -> Response:
    wanted = parse(REASON, await json_body(request))
    return json_response(dispatch_view(await runtime(request).operations.gate.pause(wanted.reason)))


@router.post(
    "/drain",
    summary="Drain the gateway",
    description="Creates are refused with 503 until `resume`. Accepted generations continue to their end.",
    responses={200: {"model": DispatchView}, **problems(*_BODY)},
    openapi_extra=body_of(Reason),
)
async def drain(request: Request) -> Response:
    wanted = parse(REASON, await json_body(request))
    return json_response(dispatch_view(await runtime(request).operations.gate.drain(wanted.reason)))


@router.post(
    "/resume",
    summary="Resume dispatch",
    description="Ends a pause, a drain, and a lock or failure state.",
    responses={200: {"model": DispatchView}, **problems(401, 503)},
)
async def resume(request: Request) -> Response:
    return json_response(dispatch_view(await runtime(request).operations.gate.resume()))


@router.post(
    "/tenants/{tenant_id}/pause",
    summary="Pause a tenant",
    description="None of its generations is submitted until it is resumed. Its API keys still work.",
    responses={200: {"model": TenantView}, **problems(400, 401, 404, 408, 412, 413, 415, 422, 503)},
    openapi_extra={**body_of(Reason), "parameters": [IF_MATCH]},
)
async def pause_tenant(request: Request, tenant_id: str) -> Response:
    wanted = parse(REASON, await json_body(request))
    tenant = await runtime(request).tenants.service.pause(tenant_id, wanted.reason, version=if_match(request))
    return tenant_answer(tenant)


@router.post(
    "/tenants/{tenant_id}/resume",
    summary="Resume a tenant",
    description="Ends a suspension **and** a pause.",
    responses={200: {"model": TenantView}, **problems(401, 404, 412, 422, 503)},
    openapi_extra={"parameters": [IF_MATCH]},
)
async def resume_tenant(request: Request, tenant_id: str) -> Response:
    return tenant_answer(await runtime(request).tenants.service.resume(tenant_id, version=if_match(request)))
