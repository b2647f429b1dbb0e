"""``/fal/.well-known/jwks.json``: the keys that verify fal-style webhooks."""

from fastapi import APIRouter, Request, Response

from service.api.fal import addresses
from service.api.fal.openapi import FalKeySet
from service.api.fal.responses import answer
from service.api.fal.route import FalRoute
from service.api.http.dependencies import runtime

router = APIRouter(prefix=f"{addresses.PREFIX}/.well-known", tags=["fal"], route_class=FalRoute)


@router.get(
    "/jwks.json",
    summary="Read the keys that sign fal-style webhooks",
    responses={200: {"model": FalKeySet, "description": "A JSON Web Key Set."}},
)
async def key_set(request: Request) -> Response:
    keys = runtime(request).webhooks.fal_signer.key_set()
    return answer(keys, request.scope["request_id"], headers={"cache-control": "public, max-age=3600"})
