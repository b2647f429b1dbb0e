"""Liveness, readiness, metrics."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service.api.answers import json_response
from service.api.dependencies import runtime
from service.api.dispatching import dispatch_view
from service.api.schemas import problems
from service.errors import Unavailable

router = APIRouter(tags=["operations"])


@router.get("/healthz", summary="Alive", responses={200: {"description": "The process answers."}})
async def healthz() -> Response:
    return json_response({"status": "ok"})


@router.get(
    "/readyz",
    summary="Ready for traffic",
    description="A held dispatch is told, and is no reason to take a gateway out: it accepts and answers.",
    responses={200: {"description": "Redis takes writes and keeps them."}, **problems(503)},
)
async def readyz(request: Request) -> Response:
    gateway = runtime(request)
    checks = await gateway.readiness()
    if failing := [text for text in checks.values() if text != "ok"]:
        raise Unavailable("; ".join(failing))
    dispatch: Any = dispatch_view(await gateway.gate.read())
    return json_response({"status": "ready", "checks": checks, "dispatch": dispatch})


@router.get("/metrics", summary="Prometheus metrics", responses={200: {"content": {"text/plain": {}}}})
async def prometheus(request: Request) -> Response:
    state = await runtime(request).gauges.text()
    own = await asyncio.to_thread(generate_latest)  # milliseconds, with a thousand tenants tens of them
    return Response(own + state, media_type=CONTENT_TYPE_LATEST)
