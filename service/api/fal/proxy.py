"""``/fal/proxy``: one URL for all requests of the JavaScript client, which names the target URL in a header.

The target selects one of the gateway's routes. The gateway never fetches it.
"""

from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

from service.api.fal import addresses, authentication
from service.api.fal.openapi import PROXIED, PROXY, TARGET_URL
from service.api.fal.route import FalRoute
from service.api.http.compression import Compression
from service.api.http.dependencies import runtime
from service.domain.tenant import Scope as KeyScope
from service.errors import GatewayError, Malformed

PATH: Final = f"{addresses.PREFIX}/proxy"
router = APIRouter(prefix=PATH, tags=["fal"], route_class=FalRoute)
_METHODS: Final = ("GET", "POST", "PUT", "DELETE", "OPTIONS")


class _Forwarded(Response):
    """Run the route of the target with the same request."""

    def __init__(self, target: addresses.Target) -> None:
        super().__init__()
        self._target = target

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: FastAPI = scope["app"]
        scope["path"] = self._target.path
        scope["raw_path"] = self._target.path.encode()
        scope["query_string"] = self._target.query.encode()
        await Compression(app.router)(scope, receive, send)


async def proxy(request: Request) -> Response:
    try:
        return _Forwarded(_target(request))
    except GatewayError:
        await authentication.tenant(request, KeyScope.READ)  # a caller without a key gets 401, whatever the target
        raise


def _target(request: Request) -> addresses.Target:
    url = request.headers.get(TARGET_URL)
    if url is None:
        raise Malformed("x-fal-target-url is missing.")
    return addresses.target_of(url, *runtime(request).generations.models.enabled)


for method in _METHODS:
    router.add_api_route(
        "",
        proxy,
        methods=[method],
        name=f"forward_{method.lower()}_request",
        summary="Proxy of the JavaScript client",
        description="Handled like the route for the URL in `x-fal-target-url`. The gateway never fetches that URL.",
        responses=PROXIED,
        openapi_extra=PROXY,
    )
