"""``/fal/.well-known/{tenant_id}/jwks.json``: the key that verifies a tenant's fal-style webhooks."""

from fastapi import APIRouter, Request, Response

from service.api.fal import addresses
from service.api.fal.openapi import TENANT_ID, answers
from service.api.fal.responses import answer
from service.api.fal.route import FalRoute
from service.api.fal.schemas import FalKeySet
from service.api.http.dependencies import runtime
from service.webhooks import fal_signing

router = APIRouter(prefix=f"{addresses.PREFIX}/.well-known", tags=["fal"], route_class=FalRoute)


@router.get(
    "/{tenant_id}/jwks.json",  # noqa: FAST003  (a plain route reads it itself)
    summary="Read the key that signs a tenant's fal-style webhooks",
    description="A set with one Ed25519 key, in the form that fal publishes.",
    responses={200: {"model": FalKeySet, "description": "A JSON Web Key Set."}, **answers(404, 503)},
    openapi_extra={"parameters": [TENANT_ID]},
)
async def read_fal_keys(request: Request) -> Response:
    tenant_id = request.path_params["tenant_id"]
    private = await runtime(request).tenants.service.fal_signing_key(tenant_id)
    headers = {"cache-control": "public, max-age=3600"}
    return answer(fal_signing.key_set(private), request.scope["request_id"], headers=headers)
