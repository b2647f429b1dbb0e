"""``/admin/v1``: pause, drain and resume dispatch; pause and resume one tenant, and end its suspension."""

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from typing_extensions import TypedDict

from service.api.admin.tenant_schemas import TenantView
from service.api.admin.tenants import tenant_answer
from service.api.http.audited import AuditedRoute
from service.api.http.dependencies import ON_CALL, VIEWER, Gateway, json_of
from service.api.http.preconditions import IF_MATCH, Version
from service.api.schemas import problems
from service.domain.described import Timestamp, described
from service.domain.dispatch_gate import Gate
from service.domain.generation_view import rfc3339
from service.domain.reason import ActReason, Reason, TenantReason

router = APIRouter(prefix="/admin/v1", tags=["admin"], route_class=AuditedRoute)


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
    since: Timestamp | None
    """When this state began, RFC 3339 in UTC with milliseconds. `null` while it is open."""
    retry_at: Timestamp | None
    """When the gateway tries one submit again. `null`: only an operator can resume."""
    draining: bool
    """Whether new generations are refused with 503 while accepted ones finish."""
    drain_reason: str | None
    """Why the gateway drains, as the operator wrote. `null`: it does not drain."""
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


def dispatch_view(gate: Gate) -> DispatchView:
    return {
        "object": "dispatch",
        "state": "open" if gate.hold is None else gate.hold.value,
        "reason": gate.reason or None,
        "since": None if gate.since is None else rfc3339(gate.since),
        "retry_at": None if gate.retry_at is None else rfc3339(gate.retry_at),
        "draining": gate.draining,
        "drain_reason": gate.drain_reason or None,
        "paused_tenants": gate.paused_tenants,
        "held_tenants": gate.held_tenants,
        "failed_generations": gate.failed_generations,
        "failed_tenants": gate.failed_tenants,
        "submits_at_once": gate.submits_at_once,
    }


@router.get(
    "/dispatch",
    summary="Read the state of dispatch",
    dependencies=[VIEWER],
    description="Whether generations are submitted; if not, since when and why.",
)
async def read_dispatch(gateway: Gateway) -> DispatchView:
    return dispatch_view(await gateway.operations.gate.read())


@router.post(
    "/pause",
    summary="Pause dispatch",
    dependencies=[ON_CALL],
    description="No generation is submitted until `resume`. Polls, callbacks and webhooks continue.",
)
async def pause_dispatch(gateway: Gateway, body: Annotated[Reason, json_of(Reason)]) -> DispatchView:
    return dispatch_view(await gateway.operations.gate.pause(body.reason))


@router.post(
    "/drain",
    summary="Drain the gateway",
    dependencies=[ON_CALL],
    description="Creates are refused with 503 until `resume`. Accepted generations continue to their end.",
)
async def drain_gateway(gateway: Gateway, body: Annotated[Reason, json_of(Reason)]) -> DispatchView:
    return dispatch_view(await gateway.operations.gate.drain(body.reason))


@router.post(
    "/resume",
    summary="Resume dispatch",
    dependencies=[ON_CALL],
    description="Ends a pause, a drain, and a lock or failure state.",
)
async def resume_dispatch(gateway: Gateway) -> DispatchView:
    return dispatch_view(await gateway.operations.gate.resume())


@router.post(
    "/tenants/{tenant_id}/pause",
    summary="Pause a tenant",
    dependencies=[ON_CALL],
    description="None of its generations is submitted until `unpause`. Its API keys still work. A second call "
    "changes nothing: the first reason stays.",
    responses=problems(412, 422),
    openapi_extra={"parameters": [IF_MATCH]},
)
async def pause_tenant(
    gateway: Gateway,
    body: Annotated[TenantReason, json_of(TenantReason)],
    tenant_id: str,
    version: Version,
    response: Response,
) -> TenantView:
    tenant = await gateway.tenants.service.pause(tenant_id, body.reason, versions=version)
    return tenant_answer(response, tenant)


@router.post(
    "/tenants/{tenant_id}/unpause",
    summary="End the pause of a tenant",
    dependencies=[ON_CALL],
    description="Its generations are submitted again. A suspension stays. Does nothing if the tenant is not paused.",
    responses=problems(412, 422),
    openapi_extra={"parameters": [IF_MATCH]},
)
async def unpause_tenant(
    gateway: Gateway,
    body: Annotated[ActReason, json_of(ActReason)],  # noqa: ARG001  (required, for the record of the act)
    tenant_id: str,
    version: Version,
    response: Response,
) -> TenantView:
    return tenant_answer(response, await gateway.tenants.service.unpause(tenant_id, versions=version))


@router.post(
    "/tenants/{tenant_id}/unsuspend",
    summary="End the suspension of a tenant",
    dependencies=[ON_CALL],
    description="Its API keys work again. A pause stays. Does nothing if the tenant is not suspended.",
    responses=problems(412, 422),
    openapi_extra={"parameters": [IF_MATCH]},
)
async def unsuspend_tenant(
    gateway: Gateway,
    body: Annotated[ActReason, json_of(ActReason)],  # noqa: ARG001  (as above)
    tenant_id: str,
    version: Version,
    response: Response,
) -> TenantView:
    return tenant_answer(response, await gateway.tenants.service.unsuspend(tenant_id, versions=version))


@router.post(
    "/tenants/{tenant_id}/resume",
    summary="Resume a tenant",
    dependencies=[ON_CALL],
    description="Ends a suspension **and** a pause. `unsuspend` and `unpause` end one of them.",
    responses=problems(412, 422),
    openapi_extra={"parameters": [IF_MATCH]},
)
async def resume_tenant(gateway: Gateway, tenant_id: str, version: Version, response: Response) -> TenantView:
    return tenant_answer(response, await gateway.tenants.service.resume(tenant_id, versions=version))
