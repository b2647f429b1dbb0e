"""``/admin/v1/tenants/{tenant_id}/end-users``: list, block and erase the end users of a tenant."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.api.end_user_views import EndUserList, EndUserView, ErasedView, end_user_view, erasure_view
from service.api.http.audited import AuditedRoute, reads_personal_data
from service.api.http.dependencies import ADMIN, ON_CALL, EndUserId, Gateway, json_of
from service.api.http.end_user_queries import EndUserQuery, end_user_list
from service.domain.reason import LONGEST_REASON, ActReason
from service.usecases.trail.recording import note_reason

router = APIRouter(prefix="/admin/v1/tenants/{tenant_id}/end-users", tags=["admin"], route_class=AuditedRoute)


@router.get(
    "",
    summary="List the end users of a tenant",
    dependencies=[ON_CALL],
    description="As `GET /v1/end-users`. The call is recorded: the ids are data of persons.",
)
@reads_personal_data
async def list_end_users_of_tenant(gateway: Gateway, tenant_id: str, query: EndUserQuery) -> EndUserList:
    tenant = await gateway.tenants.service.get(tenant_id)
    return await end_user_list(gateway.tenants.end_users, tenant, query)


@router.post(
    "/{end_user_id:path}/block",
    summary="Block an end user of a tenant",
    dependencies=[ON_CALL],
    description="New generations of the end user are refused with 403. Queued generations continue. The tenant can "
    "read the reason.",
)
async def block_end_user_of_tenant(
    gateway: Gateway, body: Annotated[ActReason, json_of(ActReason)], tenant_id: str, end_user_id: EndUserId
) -> EndUserView:
    tenant = await gateway.tenants.service.get(tenant_id)
    return end_user_view(end_user_id, await gateway.tenants.end_users.block(tenant, end_user_id, body.reason))


@router.post(
    "/{end_user_id:path}/unblock",
    summary="Unblock an end user of a tenant",
    dependencies=[ON_CALL],
    description="New generations of the end user are accepted again.",
)
async def unblock_end_user_of_tenant(
    gateway: Gateway,
    body: Annotated[ActReason, json_of(ActReason)],  # noqa: ARG001  (required, for the audit trail)
    tenant_id: str,
    end_user_id: EndUserId,
) -> EndUserView:
    tenant = await gateway.tenants.service.get(tenant_id)
    return end_user_view(end_user_id, await gateway.tenants.end_users.unblock(tenant, end_user_id))


@router.delete(
    "/{end_user_id:path}",
    summary="Erase an end user of a tenant",
    dependencies=[ADMIN],
    description="As `DELETE /v1/end-users/{end_user_id}`. The response is the receipt: `remains` lists what stays, and "
    "for how long. 200: done. 202: workers continue, and `GET …/erasure` shows the progress.",
    responses={
        200: {"description": "Erased."},
        202: {"model": ErasedView, "description": "Workers continue the erasure."},
    },
)
async def erase_end_user_of_tenant(
    gateway: Gateway,
    tenant_id: str,
    end_user_id: EndUserId,
    response: Response,
    reason: Annotated[
        str | None,
        Query(min_length=1, max_length=LONGEST_REASON, description="Why, for the audit trail. Default: none."),
    ] = None,
) -> ErasedView:
    note_reason(reason)
    tenant = await gateway.tenants.service.get(tenant_id)
    found = await gateway.tenants.end_users.erase(tenant, end_user_id)
    response.status_code = 200 if found.state == "done" else 202
    return erasure_view(end_user_id, found, gateway.tenants.end_users.remains(found))


@router.get(
    "/{end_user_id:path}/erasure",
    summary="Read the receipt of an erasure",
    dependencies=[ON_CALL],
    description="The erasure that runs, or the last one, for a week after its end.",
)
@reads_personal_data
async def read_erasure_of_tenant(gateway: Gateway, tenant_id: str, end_user_id: EndUserId) -> ErasedView:
    tenant = await gateway.tenants.service.get(tenant_id)
    found = await gateway.tenants.end_users.erasure(tenant, end_user_id)
    return erasure_view(end_user_id, found, gateway.tenants.end_users.remains(found))
