"""``/healthz``, ``/readyz``, ``/readyz/process``, and ``/``, which leads to the documentation."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse
from typing_extensions import TypedDict

from service.api.http.accept import NEGOTIATED, preferred
from service.api.http.dependencies import runtime
from service.api.http.path_prefix import PREFIX
from service.api.http.responses import json_response
from service.api.schemas import problems
from service.domain.described import described
from service.errors import Unavailable
from service.usecases.operations.readiness import State, is_ready

router = APIRouter(tags=["operations"])


@described
class HealthView(TypedDict):
    status: Literal["ok"]
    """Always `ok`."""


@described
class DispatchStateView(TypedDict):
    state: Literal["open", "paused", "locked", "failing"]
    """Whether generations are submitted to fal, as in `GET /admin/v1/dispatch`, which has the reason."""
    draining: bool
    """Whether new generations are refused with 503 while accepted ones finish."""


@described
class ReadinessView(TypedDict):
    status: Literal["ready"]
    """Always `ready`."""
    checks: dict[str, State]
    """State by check. Only `memory` may be `failing` with status 200: creates are refused then. The reason is in the
    log, and `doctor` shows it.
    """
    dispatch: DispatchStateView
    """State of dispatch. A closed dispatch gate does not make the gateway unready."""


@router.get(
    "/healthz",
    summary="Check that the process answers",
    description="Reads nothing. For a liveness probe.",
    responses={200: {"model": HealthView, "description": "The process answers."}},
)
async def check_health() -> Response:
    return json_response({"status": "ok"})


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
async def check_readiness(request: Request) -> Response:
    operations = runtime(request).operations
    checks = await operations.readiness.check()
    if not is_ready(checks):
        failing = ", ".join(name for name, state in checks.items() if state != "ok")
        raise Unavailable(f"Failing checks: {failing}. The log of the gateway has the reasons.")
    gate = await operations.gate.read()
    dispatch: DispatchStateView = {
        "state": "open" if gate.hold is None else gate.hold.value,
        "draining": gate.draining,
    }
    return json_response({"status": "ready", "checks": checks, "dispatch": dispatch})


@router.head("/readyz/process", include_in_schema=False)
@router.get(
    "/readyz/process",
    summary="Check that this process can respond",
    description="For the readiness probe of a load balancer. It does not ask Redis: while Redis is unavailable, all "
    "gateways would be unready, and the balancer would answer in place of them, without `Retry-After`. 503 before the "
    "process has reached Redis for the first time, and while the clock of its machine is wrong.",
    responses={200: {"model": HealthView, "description": "The process can respond."}, **problems(503)},
)
async def check_process(request: Request) -> Response:
    if not runtime(request).operations.readiness.of_process():
        raise Unavailable("Failing checks: clock. The log of the gateway has the reasons.")
    return json_response({"status": "ok"})


@router.get("/", include_in_schema=False)
async def index(request: Request) -> Response:
    """Lead people to the page, and programs to the document."""
    prefix = request.scope.get(PREFIX, "")
    if preferred(request, "application/json", "text/html") == "text/html":
        return RedirectResponse("/docs", headers=NEGOTIATED)
    document = {"name": "seedance-gateway", "docs": f"{prefix}/docs", "openapi": f"{prefix}/openapi.json"}
    return json_response(document, headers=NEGOTIATED)
