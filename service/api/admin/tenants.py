"""``/admin/v1``: for operators, opened by GATEWAY_ADMIN_TOKEN."""

import hmac
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response

from service.api.admin.schemas import (
    NEW_API_KEY,
    NEW_TENANT,
    ROTATION,
    TENANT_CHANGE,
    WEBHOOK_POINTER,
    ApiKeyList,
    ApiKeyView,
    MonthView,
    NewApiKey,
    NewTenant,
    Rotation,
    TenantChange,
    TenantList,
    TenantView,
    key_view,
    month_view,
    tenant_view,
)
from service.api.http.cursors import decode_cursor, encode_cursor
from service.api.http.dependencies import bearer, json_body, runtime
from service.api.http.responses import json_response
from service.api.schemas import TraceView, body_of, problems
from service.domain import ids
from service.domain.request import parse
from service.domain.tenant import Limits, Tenant
from service.errors import FieldError, Invalid, NotFound, Unauthenticated


async def operator(request: Request) -> None:
    """Constant-time; without a token set there is no admin API."""
    token = runtime(request).settings.admin_token
    if token is None:
        raise NotFound("There is no such route.")
    if not hmac.compare_digest(bearer(request).encode(), token.get_secret_value().encode()):
        raise Unauthenticated("The admin token is wrong.")


router = APIRouter(prefix="/admin/v1", tags=["admin"], dependencies=[Depends(operator)])

#: Python raises when it is to read a number of more than 4,300 digits.
_MOST_DIGITS: Final = 9
_BODY: Final = (400, 401, 408, 413, 415, 422, 503)
IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "schema": {"type": "string", "pattern": '^(\\*|"[0-9]{1,9}"|[0-9]{1,9})$'},
}


@router.post(
    "/tenants",
    summary="Create a tenant",
    description="The response has the webhook secret; no other operator's response shows it.",
    status_code=201,
    responses={201: {"model": TenantView}, **problems(*_BODY)},
    openapi_extra=body_of(NewTenant),
)
async def create_tenant(request: Request) -> Response:
    wanted = parse(NEW_TENANT, await json_body(request))
    _check_webhook(request, wanted.limits.webhook_url)
    tenant = await runtime(request).tenants.service.create(
        wanted.name, wanted.limits.applied_to(Limits()), require_end_user=wanted.require_end_user
    )
    return tenant_answer(tenant, status=201, secret=True)


@router.get("/tenants", summary="List tenants", responses={200: {"model": TenantList}, **problems(401, 422, 503)})
async def list_tenants(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    after = None if cursor is None else decode_cursor(cursor, ids.TENANT)
    page = await runtime(request).tenants.service.page(limit=limit + 1, after=after)
    more = page[limit - 1].id if len(page) > limit else None
    answer: TenantList = {
        "object": "list",
        "data": [tenant_view(tenant) for tenant in page[:limit]],
        "has_more": more is not None,
        "next_cursor": None if more is None else encode_cursor(more),
    }
    return json_response(answer)


@router.get(
    "/tenants/{tenant_id}", summary="Read a tenant", responses={200: {"model": TenantView}, **problems(401, 404, 503)}
)
async def read_tenant(request: Request, tenant_id: str) -> Response:
    tenant = await runtime(request).tenants.service.get(tenant_id)
    return tenant_answer(tenant, await _month(request, tenant))


@router.patch(
    "/tenants/{tenant_id}",
    summary="Change a tenant",
    description="A budget below what is held and spent is accepted; `month.over` is then true.",
    responses={200: {"model": TenantView}, **problems(400, 401, 404, 408, 412, 413, 415, 422, 503)},
    openapi_extra={**body_of(TenantChange), "parameters": [IF_MATCH]},
)
async def change_tenant(request: Request, tenant_id: str) -> Response:
    change = parse(TENANT_CHANGE, await json_body(request))
    _check_webhook(request, None if change.limits is None else change.limits.webhook_url)
    tenant = await runtime(request).tenants.service.update(tenant_id, change.applied_to, version=if_match(request))
    return tenant_answer(tenant, await _month(request, tenant))


@router.post(
    "/tenants/{tenant_id}/suspend",
    summary="Suspend a tenant",
    description="All requests with its keys are refused with 403 until it is resumed. Its queued generations continue.",
    responses={200: {"model": TenantView}, **problems(401, 404, 412, 422, 503)},
    openapi_extra={"parameters": [IF_MATCH]},
)
async def suspend_tenant(request: Request, tenant_id: str) -> Response:
    return tenant_answer(await runtime(request).tenants.service.suspend(tenant_id, version=if_match(request)))


@router.delete(
    "/tenants/{tenant_id}",
    summary="Delete a tenant",
    description="Refused with 409 while generations have not ended or webhooks are pending.",
    status_code=204,
    responses={204: {"description": "Deleted, with its keys."}, **problems(401, 404, 409, 412, 422, 503)},
)
async def delete_tenant(
    request: Request,
    tenant_id: str,
    drain: Annotated[  # noqa: FBT002
        bool, Query(description="Suspend the tenant first, so that its work ends; repeat until 204. Default `false`.")
    ] = False,
) -> Response:
    await runtime(request).tenants.service.delete(tenant_id, drain=drain)
    return Response(status_code=204)


@router.post(
    "/tenants/{tenant_id}/keys",
    summary="Create an API key",
    description="Only this response shows the key.",
    status_code=201,
    responses={201: {"model": ApiKeyView}, **problems(400, 401, 404, 408, 413, 415, 422, 503)},
    openapi_extra=body_of(NewApiKey),
)
async def create_key(request: Request, tenant_id: str) -> Response:
    wanted = parse(NEW_API_KEY, await json_body(request))
    new = await runtime(request).tenants.service.create_key(
        tenant_id, name=wanted.name, scopes=tuple(wanted.scopes), expires_at=wanted.expires_at
    )
    return json_response(key_view(new.key, text=new.text), status=201)


@router.get(
    "/tenants/{tenant_id}/keys",
    summary="List the API keys of a tenant",
    responses={200: {"model": ApiKeyList}, **problems(401, 404, 503)},
)
async def list_keys(request: Request, tenant_id: str) -> Response:
    found = await runtime(request).tenants.service.list_keys(tenant_id)
    answer: ApiKeyList = {"object": "list", "data": [key_view(key, last_used_at=used) for key, used in found]}
    return json_response(answer)


@router.post(
    "/tenants/{tenant_id}/keys/{key_id}/rotate",
    summary="Rotate an API key",
    description="Creates a successor with the same scopes. The old key expires after `overlap_seconds`.",
    status_code=201,
    responses={201: {"model": ApiKeyView}, **problems(400, 401, 404, 408, 409, 412, 413, 415, 422, 503)},
    openapi_extra=body_of(Rotation),
)
async def rotate_key(request: Request, tenant_id: str, key_id: str) -> Response:
    overlap = timedelta(seconds=parse(ROTATION, await json_body(request)).overlap_seconds)
    new = await runtime(request).tenants.service.rotate_key(tenant_id, key_id, overlap=overlap)
    return json_response(key_view(new.key, text=new.text), status=201)


@router.post(
    "/tenants/{tenant_id}/keys/{key_id}/revoke",
    summary="Revoke an API key",
    description="Every process refuses it within a second.",
    responses={200: {"model": ApiKeyView}, **problems(401, 404, 412, 503)},
)
async def revoke_key(request: Request, tenant_id: str, key_id: str) -> Response:
    return json_response(key_view(await runtime(request).tenants.service.revoke_key(tenant_id, key_id)))


@router.get(
    "/tenants/{tenant_id}/end-users/{pseudonym}",
    summary="Find the end user behind a pseudonym",
    responses={200: {"model": TraceView}, **problems(401, 404, 503)},
)
async def trace(request: Request, tenant_id: str, pseudonym: str) -> Response:
    gateway = runtime(request)
    found = await gateway.tenants.end_users.trace(await gateway.tenants.service.get(tenant_id), pseudonym)
    answer: TraceView = {
        "object": "end_user_trace",
        "tenant_id": tenant_id,
        "pseudonym": found.pseudonym,
        "end_user_id": found.end_user_id,
        "refusals": found.refusals,
        "blocked_at": found.blocked_at,
    }
    return json_response(answer)


def tenant_answer(
    tenant: Tenant, month: MonthView | None = None, *, status: int = 200, secret: bool = False
) -> Response:
    body: Any = tenant_view(tenant, month=month, secret=secret)
    return json_response(body, status=status, headers={"etag": f'"{tenant.version}"'})


async def _month(request: Request, tenant: Tenant) -> MonthView:
    return month_view(tenant, await runtime(request).tenants.usage.month(tenant.id))


def if_match(request: Request) -> int | None:
    tag = request.headers.get("if-match")
    if tag is None or tag == "*":
        return None
    version = tag.strip().strip('"')
    if not version.isdecimal() or len(version) > _MOST_DIGITS:
        raise Invalid(FieldError("/header/If-Match", "must be an ETag of this API", "etag"))
    return int(version)


def _check_webhook(request: Request, url: str | None) -> None:
    runtime(request).generations.admission.check_webhook(url, WEBHOOK_POINTER)
