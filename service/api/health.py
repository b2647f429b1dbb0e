"""Liveness, readiness, metrics."""

import asyncio
from typing import Any, Final, Literal

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from typing_extensions import TypedDict

from service.api.admin.dispatch import DispatchView, dispatch_view
from service.api.http.dependencies import runtime
from service.api.http.responses import json_response
from service.api.schemas import problems
from service.errors import Unavailable
from service.observability import multiprocess
from service.store.redis.health import TOLERATED

router = APIRouter(tags=["operations"])
_EXAMPLE: Final = "# HELP gateway_slots_used Upstream slots that are taken.\ngateway_slots_used 2.0\n"


class HealthView(TypedDict):
    status: Literal["ok"]


class ReadinessView(TypedDict):
    """``checks``: each is ``ok``, or the answer is 503; but for ``memory``, which says that creates are refused."""

    status: Literal["ready"]
    checks: dict[str, str]
    dispatch: DispatchView


@router.get("/healthz", summary="Alive", responses={200: {"model": HealthView, "description": "The process answers."}})
async def healthz() -> Response:
    return json_response({"status": "ok"})


@router.get(
    "/readyz",
    summary="Ready for traffic",
    description="A held dispatch or a full memory is shown, and is no reason to take a gateway out of rotation: it "
    "still answers reads, and takes cancels and callbacks.",
    responses={200: {"model": ReadinessView, "description": "Redis takes writes and keeps them."}, **problems(503)},
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
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE}}}},
)
async def prometheus(request: Request) -> Response:
    # Each takes tens of milliseconds with many tenants: ours in a thread, while Redis makes up its answer.
    own, state = await asyncio.gather(
        asyncio.to_thread(multiprocess.text), runtime(request).operations.account_metrics.text()
    )
    return Response(own + state, media_type=CONTENT_TYPE_LATEST)
