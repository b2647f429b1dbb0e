"""``/healthz``, ``/readyz``, ``/metrics``, and ``/``, which leads to the documentation."""

import asyncio
from typing import Any, Final, Literal

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import RedirectResponse
from typing_extensions import TypedDict

from service.api.admin.dispatch import DispatchView, dispatch_view
from service.api.http.dependencies import runtime
from service.api.http.responses import json_response
from service.api.schemas import problems
from service.domain.described import described
from service.errors import Unavailable
from service.observability import multiprocess
from service.store.redis.health import TOLERATED

router = APIRouter(tags=["operations"])
_EXAMPLE: Final = "# HELP gateway_slots_used Upstream slots that are taken.\ngateway_slots_used 2.0\n"


@described
class HealthView(TypedDict):
    status: Literal["ok"]
    """Always `ok`."""


@described
class ReadinessView(TypedDict):
    status: Literal["ready"]
    """Always `ready`."""
    checks: dict[str, str]
    """Result by check: `ok`, or what is wrong. Only `memory` may be other than `ok` with status 200: creates are
    refused then.
    """
    dispatch: DispatchView
    """State of dispatch. A closed dispatch gate does not make the gateway unready."""


@router.head("/healthz", include_in_schema=False)
@router.get(
    "/healthz",
    summary="Check that the process answers",
    responses={200: {"model": HealthView, "description": "The process answers."}},
)
async def healthz() -> Response:
    return json_response({"status": "ok"})


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    summary="Check that the gateway can serve requests",
    description="A closed dispatch gate or a full memory is shown, with status 200: the gateway still serves reads, "
    "cancels and callbacks.",
    responses={
        200: {"model": ReadinessView, "description": "Redis accepts writes and persists them."},
        **problems(503),
    },
)
async def readyz(request: Request) -> Response:
    gateway = runtime(request)
    checks = await gateway.readiness()
    if failing := [text for name, text in checks.items() if text != "ok" and name not in TOLERATED]:
        raise Unavailable("; ".join(failing))
    dispatch: Any = dispatch_view(await gateway.operations.gate.read())
    return json_response({"status": "ready", "checks": checks, "dispatch": dispatch})


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={
        200: {
            "description": "The metrics.",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE}},
        }
    },
)
async def prometheus(request: Request) -> Response:
    # Each takes tens of milliseconds with many tenants: the process metrics run in a thread while Redis responds.
    own, state = await asyncio.gather(
        asyncio.to_thread(multiprocess.text), runtime(request).operations.account_metrics.text()
    )
    return Response(own + state, media_type=CONTENT_TYPE_LATEST)


@router.get("/", include_in_schema=False)
@router.head("/", include_in_schema=False)
async def index(request: Request) -> Response:
    """Lead people to the page, and programs to the document."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/docs")
    return json_response({"name": "seedance-gateway", "docs": "/docs", "openapi": "/openapi.json"})
