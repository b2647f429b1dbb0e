"""``/admin/v1``: tenants, their API keys, and the end users behind pseudonyms."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.api.admin.audit_schemas import TraceView
from service.api.admin.key_schemas import ApiKeyList, ApiKeyView, NewApiKey, Rotation, key_view
from service.api.admin.tenant_schemas import (
    WEBHOOK_POINTER,
    MonthView,
    NewTenant,
    TenantChange,
    TenantList,
    TenantView,
    month_view,
    tenant_view,
)
from service.api.http.audited import AuditedRoute, reads_personal_data
from service.api.http.compression import NO_TRANSFORM
from service.api.http.cursor_queries import Cursor
from service.api.http.cursors import decode_cursor, page_of
from service.api.http.dependencies import ADMIN, ON_CALL, VIEWER, Gateway, json_of, optional_json_of
from service.api.http.preconditions import IF_MATCH, Version, show_version
from service.api.schemas import problems
from service.domain import ids
from service.domain.reason import SuspensionReason
from service.domain.tenant import Tenant
from service.runtime import Runtime
from service.usecases.conflicts import Versions

router = APIRouter(prefix="/admin/v1", tags=["admin"], route_class=AuditedRoute)


@router.post(
    "/tenants",
    summary="Create a tenant",
    dependencies=[ADMIN, NO_TRANSFORM],
    description="The response has the webhook secret; no other operator's response shows it.",
    status_code=201,
)
async def create_tenant(
    gateway: Gateway, body: Annotated[NewTenant, json_of(NewTenant)], response: Response
) -> TenantView:
    _check_webhook(gateway, body.limits.webhook_url)
    limits = body.limits.applied_to(gateway.tenants.service.default_limits)
    tenant = await gateway.tenants.service.create(body.name, limits, require_end_user=body.require_end_user)
    return tenant_answer(response, tenant, secret=True)


@router.get(
    "/tenants",
    summary="List tenants",
    dependencies=[VIEWER],
    description="All tenants in pages, with the money of this month.",
)
async def list_tenants(
    gateway: Gateway,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Cursor = None,
) -> TenantList:
    after = decode_cursor(cursor, ids.TENANT)
    page = await gateway.tenants.service.page(limit=limit + 1, after=after)
    more = page[limit - 1].id if len(page) > limit else None
    standings = await gateway.operations.tenant_budgets.of_month(page[:limit])
    views = [tenant_view(t, month=month_view(t, standing)) for t, standing in zip(page, standings, strict=False)]
    return page_of(views, more)


@router.get(
    "/tenants/{tenant_id}",
    summary="Read a tenant",
    dependencies=[VIEWER],
    description="Its limits and the money of this month. `ETag` has the version for `If-Match`.",
)
async def read_tenant(gateway: Gateway, tenant_id: str, response: Response) -> TenantView:
    tenant = await gateway.tenants.service.get(tenant_id)
    return tenant_answer(response, tenant, await _month(gateway, tenant))


@router.patch(
    "/tenants/{tenant_id}",
    summary="Change a tenant",
    dependencies=[ADMIN],
    description="A budget below what is held and spent is accepted; `month.over` is then true.",
    responses=problems(412, 422),
    openapi_extra={"parameters": [IF_MATCH]},
)
async def change_tenant(
    gateway: Gateway,
    body: Annotated[TenantChange, json_of(TenantChange)],
    tenant_id: str,
    version: Version,
    response: Response,
) -> TenantView:
    tenant = await changed(gateway, tenant_id, body, versions=version)
    return tenant_answer(response, tenant, await _month(gateway, tenant))


@router.post(
    "/tenants/{tenant_id}/suspend",
    summary="Suspend a tenant",
    dependencies=[ON_CALL],
    description="All requests with its keys are refused with 403 until `unsuspend`, except `GET /v1/me`. Its queued "
    "generations continue. A second call changes the reason if it gives one.",
    responses=problems(412, 422),
    openapi_extra={"parameters": [IF_MATCH]},
)
async def suspend_tenant(
    gateway: Gateway,
    body: Annotated[SuspensionReason, optional_json_of(SuspensionReason)],
    tenant_id: str,
    version: Version,
    response: Response,
) -> TenantView:
    tenant = await gateway.tenants.service.suspend(tenant_id, body.reason, versions=version)
    return tenant_answer(response, tenant)


@router.delete(
    "/tenants/{tenant_id}",
    summary="Delete a tenant",
    dependencies=[ADMIN],
    description="Refused with 409 while generations have not ended or webhooks are pending.",
    status_code=204,
    responses={204: {"description": "Deleted, with its keys."}, **problems(409, 412)},
    openapi_extra={"parameters": [IF_MATCH]},
)
async def delete_tenant(
    gateway: Gateway,
    tenant_id: str,
    version: Version,
    drain: Annotated[  # noqa: FBT002
        bool, Query(description="Suspend the tenant first, so that its work ends; repeat until 204. Default `false`.")
    ] = False,
) -> Response:
    await gateway.tenants.service.delete(tenant_id, drain=drain, versions=version)
    return Response(status_code=204)


@router.post(
    "/tenants/{tenant_id}/keys",
    summary="Create an API key",
    dependencies=[ADMIN, NO_TRANSFORM],
    description="Only this response shows the key.",
    status_code=201,
)
async def create_api_key(
    gateway: Gateway, body: Annotated[NewApiKey, json_of(NewApiKey)], tenant_id: str
) -> ApiKeyView:
    new = await gateway.tenants.api_keys.create(
        tenant_id, name=body.name, scopes=tuple(body.scopes), expires_at=body.expires_at
    )
    return key_view(new.key, text=new.text)


@router.get(
    "/tenants/{tenant_id}/keys",
    summary="List the API keys of a tenant",
    dependencies=[VIEWER],
    description="Names, scopes and times. Never the keys, which are stored as hashes.",
)
async def list_api_keys(gateway: Gateway, tenant_id: str) -> ApiKeyList:
    found = await gateway.tenants.api_keys.of_tenant(tenant_id)
    return {"object": "list", "data": [key_view(key, last_used_at=used) for key, used in found]}


@router.post(
    "/tenants/{tenant_id}/keys/{key_id}/rotate",
    summary="Rotate an API key",
    dependencies=[ADMIN, NO_TRANSFORM],
    description="Creates a successor with the same scopes and the same expiry. The old key expires after "
    "`overlap_seconds`. A key that is revoked or has expired cannot be rotated: create a new one.",
    status_code=201,
    responses=problems(409, 412),
)
async def rotate_api_key(
    gateway: Gateway, body: Annotated[Rotation, json_of(Rotation)], tenant_id: str, key_id: str
) -> ApiKeyView:
    overlap = timedelta(seconds=body.overlap_seconds)
    new = await gateway.tenants.api_keys.rotate(tenant_id, key_id, overlap=overlap)
    return key_view(new.key, text=new.text)


@router.post(
    "/tenants/{tenant_id}/keys/{key_id}/revoke",
    summary="Revoke an API key",
    dependencies=[ADMIN],
    description="Every process refuses it within a second.",
    responses=problems(412),
)
async def revoke_api_key(gateway: Gateway, tenant_id: str, key_id: str) -> ApiKeyView:
    return key_view(await gateway.tenants.api_keys.revoke(tenant_id, key_id))


@router.get(
    "/tenants/{tenant_id}/end-users/{pseudonym}",
    summary="Find the end user behind a pseudonym",
    dependencies=[ON_CALL],
    description="For a message of fal that names the pseudonym.",
)
@reads_personal_data
async def trace_pseudonym(gateway: Gateway, tenant_id: str, pseudonym: str) -> TraceView:
    found = await gateway.tenants.end_users.trace(await gateway.tenants.service.get(tenant_id), pseudonym)
    return {
        "object": "end_user_trace",
        "tenant_id": tenant_id,
        "pseudonym": found.pseudonym,
        "end_user_id": found.end_user_id,
        "refusals": found.refusals,
        "blocked_at": found.blocked_at,
        "block_reason": found.block_reason,
    }


async def changed(gateway: Runtime, tenant_id: str, body: TenantChange, *, versions: Versions) -> Tenant:
    """Change a tenant. Raises Invalid, NotFound, PreconditionFailed."""
    check_change(gateway, body)
    return await gateway.tenants.service.update(tenant_id, body.applied_to, versions=versions)


def check_change(gateway: Runtime, body: TenantChange) -> None:
    """Raises Invalid: the address guard refuses the URL."""
    _check_webhook(gateway, None if body.limits is None else body.limits.webhook_url)


def tenant_answer(
    response: Response, tenant: Tenant, month: MonthView | None = None, *, secret: bool = False
) -> TenantView:
    """Set the ``ETag``, and return the tenant."""
    show_version(response, tenant.version)
    return tenant_view(tenant, month=month, secret=secret)


async def _month(gateway: Gateway, tenant: Tenant) -> MonthView:
    return month_view(tenant, await gateway.tenants.usage.month(tenant.id))


def _check_webhook(gateway: Runtime, url: str | None) -> None:
    gateway.generations.admission.check_webhook(url, WEBHOOK_POINTER)
