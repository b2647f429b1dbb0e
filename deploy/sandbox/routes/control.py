"""The sandbox's own routes, without a key: list accepted submits (the oracle), set faults, reset."""

import json

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import messages, refusals
from sandbox.chaos import Faults
from sandbox.routes.queue import JSON
from sandbox.runtime import Runtime


async def requests(request: Request) -> Response:
    """List every accepted submit in order. The text is joined from ready parts: 50,000 take milliseconds."""
    runtime: Runtime = request.app.state.runtime
    return Response("[" + ",".join(map(messages.record, runtime.queue.jobs.values())) + "]", media_type=JSON)


async def count(request: Request) -> Response:
    runtime: Runtime = request.app.state.runtime
    return JSONResponse({"count": len(runtime.queue.jobs)})


async def one_request(request: Request) -> Response:
    runtime: Runtime = request.app.state.runtime
    job = runtime.queue.jobs.get(request.path_params["request_id"])
    if job is None:
        return refusals.not_found()
    return Response(f'{messages.record(job)[:-1]},"input":{json.dumps(job.input)}}}', media_type=JSON)


async def faults(request: Request) -> Response:
    runtime: Runtime = request.app.state.runtime
    if request.method == "POST":
        try:
            runtime.chaos.faults = Faults.model_validate_json(await request.body())
        except ValidationError as error:
            return refusals.json_error(422, error.errors(include_url=False, include_context=False))
    if request.method == "DELETE":
        runtime.chaos.clear()
    return Response(runtime.chaos.faults.model_dump_json(), media_type=JSON)


async def reset(request: Request) -> Response:
    runtime: Runtime = request.app.state.runtime
    runtime.forget()
    return JSONResponse({"count": 0})


async def health(request: Request) -> Response:
    runtime: Runtime = request.app.state.runtime
    return JSONResponse({"status": "ok", "speed": runtime.settings.speed, "running": runtime.queue.running})


routes = [
    Route("/requests", requests),
    Route("/requests/count", count),
    Route("/requests/{request_id}", one_request),
    Route("/faults", faults, methods=["GET", "POST", "DELETE"]),
    Route("/reset", reset, methods=["POST"]),
]
