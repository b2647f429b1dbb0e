"""Liveness, readiness, metrics."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service import metrics
from service.api.answers import json_response
from service.api.dependencies import runtime
from service.api.schemas import problems
from service.errors import StoreUnavailable, Unavailable
from service.runtime import Runtime, utc_now

router = APIRouter(tags=["operations"])


@router.get("/healthz", summary="Alive", responses={200: {"description": "The process answers."}})
async def healthz() -> Response:
    return json_response({"status": "ok"})


@router.get(
    "/readyz",
    summary="Ready for traffic",
    responses={200: {"description": "Redis takes writes and keeps them."}, **problems(503)},
)
async def readyz(request: Request) -> Response:
    checks = await runtime(request).readiness()
    if failing := [text for text in checks.values() if text != "ok"]:
        raise Unavailable("; ".join(failing))
    return json_response({"status": "ready", "checks": checks})


@router.get("/metrics", summary="Prometheus metrics", responses={200: {"content": {"text/plain": {}}}})
async def prometheus(request: Request) -> Response:
    await _read_state(runtime(request))
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _read_state(gateway: Runtime) -> None:
    """State gauges come from Redis, so that every process shows the same; without Redis they keep their last value."""
    try:
        depths, slots = await gateway.due.depths(), await gateway.due.slots_used()
    except StoreUnavailable:
        return
    now = utc_now()
    for drain, depth in depths.items():
        late = 0.0 if depth.oldest is None else max(0.0, (now - depth.oldest).total_seconds())
        metrics.DUE.labels(drain).set(depth.entries)
        metrics.OVERDUE_SECONDS.labels(drain).set(late)
    metrics.SLOTS_USED.set(slots)
    metrics.SLOTS_ALLOWED.set(gateway.settings.upstream_concurrency)
