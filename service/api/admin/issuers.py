"""``/admin/v1/tenants/{id}/issuers``: issuers whose tokens act for a tenant, as its API keys do."""

from typing import Annotated

from fastapi import APIRouter, Response

from service.api.admin.issuer_schemas import IssuerList, IssuerView, NewIssuer, issuer_view
from service.api.http.audited import AuditedRoute
from service.api.http.dependencies import ADMIN, VIEWER, Gateway, json_of
from service.api.schemas import problems

router = APIRouter(prefix="/admin/v1/tenants/{tenant_id}/issuers", tags=["admin"], route_class=AuditedRoute)


@router.post(
    "",
    summary="Trust an issuer of tokens",
    dependencies=[ADMIN],
    description="Signed tokens (JWT) of this issuer, with this audience, subject and claims, then work wherever an API "
    "key of the tenant does. The key set is fetched once; a 422 says what is wrong with it. Refused with 409 if "
    "another trusted issuer, of any tenant, accepts some of the same tokens.",
    status_code=201,
    responses=problems(409),
)
async def create_trusted_issuer(
    gateway: Gateway, body: Annotated[NewIssuer, json_of(NewIssuer)], tenant_id: str
) -> IssuerView:
    return issuer_view(await gateway.tenants.trusted_issuers.add(tenant_id, body.wanted()))


@router.get(
    "",
    summary="List the trusted issuers of a tenant",
    dependencies=[VIEWER],
    description="20 at most, the oldest first.",
)
async def list_trusted_issuers(gateway: Gateway, tenant_id: str) -> IssuerList:
    found = await gateway.tenants.trusted_issuers.list(tenant_id)
    return {"object": "list", "data": [issuer_view(issuer, last_used_at=used) for issuer, used in found]}


@router.get(
    "/{issuer_id}",
    summary="Read a trusted issuer",
    dependencies=[VIEWER],
    description="Its rule, its keys or their URL, and the minute of its last use.",
)
async def read_trusted_issuer(gateway: Gateway, tenant_id: str, issuer_id: str) -> IssuerView:
    issuer, used = await gateway.tenants.trusted_issuers.get(tenant_id, issuer_id)
    return issuer_view(issuer, last_used_at=used)


@router.delete(
    "/{issuer_id}",
    summary="Trust an issuer no longer",
    dependencies=[ADMIN],
    description="Every process refuses its tokens within a second, and ends their waits and event streams.",
    status_code=204,
    responses={204: {"description": "Removed."}},
)
async def delete_trusted_issuer(gateway: Gateway, tenant_id: str, issuer_id: str) -> Response:
    await gateway.tenants.trusted_issuers.remove(tenant_id, issuer_id)
    return Response(status_code=204)
