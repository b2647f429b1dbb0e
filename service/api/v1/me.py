"""``GET /v1/me``: the caller's tenant and key, its limits and what is left of them, and why it is held."""

from fastapi import APIRouter, Request

from service.api.http.dependencies import AnyCaller, Gateway
from service.api.v1.me_schemas import MeView, me_view

router = APIRouter(prefix="/v1/me", tags=["usage"])


@router.get(
    "",
    summary="Read your tenant, key, limits and budget",
    description="Every key may call it, whatever its scopes, also while the tenant is suspended. Poll it at most every "
    "few seconds; a hold is visible within seconds.",
)
async def read_caller(gateway: Gateway, caller: AnyCaller, request: Request) -> MeView:
    overview = await gateway.tenants.overviews.read(caller.tenant)
    return me_view(caller, overview, request.scope.get("rate"))
