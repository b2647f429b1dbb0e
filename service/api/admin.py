"""``/admin/v1``: for operators, opened by GATEWAY_ADMIN_TOKEN."""

import hmac

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPBearer

from service.api.answers import json_response
from service.api.dependencies import bearer, json_body, runtime
from service.api.schemas import (
    NEW_API_KEY,
    NEW_TENANT,
    ApiKeyView,
    NewApiKey,
    NewTenant,
    TenantList,
    TenantView,
    body_of,
    problems,
)
from service.domain.request import parse
from service.domain.tenant import Tenant
from service.domain.view import rfc3339
from service.errors import NotFound, Unauthenticated


async def operator(request: Request) -> None:
    """Constant-time; without a token set there is no admin API."""
    token = runtime(request).settings.admin_token
    if token is None:
        raise NotFound("There is no such route.")
    if not hmac.compare_digest(bearer(request).encode(), token.get_secret_value().encode()):
        raise Unauthenticated("The admin token is wrong.")


router = APIRouter(
    prefix="/admin/v1",
    tags=["admin"],
    dependencies=[Depends(operator), Depends(HTTPBearer(auto_error=False, scheme_name="admin"))],
)


@router.post(
    "/tenants",
    summary="Create a tenant",
    status_code=201,
    responses={201: {"model": TenantView}, **problems(400, 401, 413, 415, 422, 503)},
    openapi_extra=body_of(NewTenant),
)
async def create_tenant(request: Request) -> Response:
    wanted = parse(NEW_TENANT, await json_body(request))
    tenant = await runtime(request).tenants.create(wanted.name)
    return json_response(_view(tenant, secret=True), status=201)


@router.get(
    "/tenants",
    summary="List tenants",
    responses={200: {"model": TenantList}, **problems(401, 503)},
)
async def list_tenants(request: Request) -> Response:
    answer: TenantList = {
        "object": "list",
        "data": [_view(tenant, secret=False) for tenant in await runtime(request).tenants.list()],
    }
    return json_response(answer)


@router.post(
    "/tenants/{tenant_id}/keys",
    summary="Create an API key",
    description="The key is in this answer and nowhere else.",
    status_code=201,
    responses={201: {"model": ApiKeyView}, **problems(400, 401, 404, 413, 415, 422, 503)},
    openapi_extra=body_of(NewApiKey),
)
async def create_key(request: Request, tenant_id: str) -> Response:
    wanted = parse(NEW_API_KEY, await json_body(request))
    new = await runtime(request).tenants.create_key(tenant_id, name=wanted.name, scopes=wanted.scopes)
    answer: ApiKeyView = {
        "id": new.key.id,
        "object": "api_key",
        "tenant_id": new.key.tenant_id,
        "name": new.key.name,
        "scopes": [scope.value for scope in new.key.scopes],
        "key": new.text,
        "created_at": rfc3339(new.key.created_at),
    }
    return json_response(answer, status=201)


def _view(tenant: Tenant, *, secret: bool) -> TenantView:
    return {
        "id": tenant.id,
        "object": "tenant",
        "name": tenant.name,
        "suspended": tenant.suspended,
        "created_at": rfc3339(tenant.created_at),
        "webhook_secret": tenant.webhook_secret if secret else None,
    }
