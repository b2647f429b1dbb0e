"""Liveness, readiness, metrics."""

from typing import Any, Final, Literal

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from typing_extensions import TypedDict

from service import metrics
from service.api.answers import json_response
from service.api.dependencies import runtime
from service.api.dispatching import DispatchView, dispatch_view
from service.api.schemas import problems
from service.domain.gate import Hold
from service.errors import StoreUnavailable, Unavailable
from service.runtime import Runtime, utc_now

router = APIRouter(tags=["operations"])
_EXAMPLE: Final = "# HELP gateway_slots_used Upstream slots that are taken.\ngateway_slots_used 2.0\n"


class HealthView(TypedDict):
    status: Literal["ok"]


class ReadinessView(TypedDict):
    """``checks``: each is ``ok``, or the answer is 503."""

    status: Literal["ready"]
    checks: dict[str, str]
    dispatch: DispatchView


@router.get("/healthz", summary="Alive", responses={200: {"model": HealthView, "description": "The process answers."}})
async def healthz() -> Response:
    return json_response({"status": "ok"})


@router.get(
    "/readyz",
    summary="Ready for traffic",
    description="A held dispatch is told, and is no reason to take a gateway out: it accepts and answers.",
    responses={200: {"model": ReadinessView, "description": "Redis takes writes and keeps them."}, **problems(503)},
)
async def readyz(request: Request) -> Response:
    gateway = runtime(request)
    checks = await gateway.readiness()
    if failing := [text for text in checks.values() if text != "ok"]:
        raise Unavailable("; ".join(failing))
    dispatch: Any = dispatch_view(await gateway.gate.read())
    return json_response({"status": "ready", "checks": checks, "dispatch": dispatch})


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE}}}},
)
async def prometheus(request: Request) -> Response:
    await _read_state(runtime(request))
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _read_state(gateway: Runtime) -> None:
    """State gauges come from Redis, so that every process shows the same; without Redis they keep their last value."""
    try:
        depths, slots = await gateway.due.depths(), await gateway.queue.slots_used()
        gate, count = await gateway.gate.read(), await gateway.queue.unconfirmed_count()
        unconfirmed = await gateway.queue.unconfirmed(limit=1)
    except StoreUnavailable:
        return
    now = utc_now()
    for drain, depth in depths.items():
        late = 0.0 if depth.oldest is None else max(0.0, (now - depth.oldest).total_seconds())
        metrics.DUE.labels(drain).set(depth.entries)
        metrics.OVERDUE_SECONDS.labels(drain).set(late)
    for hold in Hold:
        metrics.DISPATCH_HOLD.labels(hold).set(gate.hold is hold)
    metrics.DRAINING.set(gate.draining)
    metrics.PAUSED_TENANTS.set(gate.paused_tenants)
    metrics.UNCONFIRMED.set(count)
    oldest = min((since for _, since in unconfirmed), default=now)
    metrics.UNCONFIRMED_SECONDS.set(max(0.0, (now - oldest).total_seconds()))
    metrics.SLOTS_USED.set(slots)
    metrics.SLOTS_ALLOWED.set(gateway.settings.upstream_concurrency)
