"""queue.fal.run: submit, status, status stream, result, cancel."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from sandbox import messages, refusals
from sandbox.chaos import Operation
from sandbox.connection import NoAnswer
from sandbox.endpoints import ENDPOINTS
from sandbox.job import Job, Status
from sandbox.routes.address import EndpointAddress, RequestAddress, endpoint_address, request_address
from sandbox.routes.orders import BadOrderError, max_queue_length, read_order
from sandbox.runtime import Runtime

JSON = "application/json"
#: Real seconds between the events of a stream in which nothing changes.
STREAM_PULSE = 1.0

JobHandler = Callable[[Request, Runtime, Job], Awaitable[Response]]


async def call(request: Request) -> Response:
    """Handle all calls of this host: its paths are too irregular for a router."""
    text = request.path_params["path"]
    if address := request_address(text):
        return await _call_job(request, address)
    endpoint = endpoint_address(text)
    if endpoint is None or request.method != "POST":
        return _method_not_allowed() if endpoint else refusals.json_error(404, "Not Found")
    runtime: Runtime = request.app.state.runtime
    return await runtime.gate.admit(request, lambda: submit(request, runtime, endpoint), "submit")


async def _call_job(request: Request, address: RequestAddress) -> Response:
    known = HANDLERS.get((request.method, address.action))
    if known is None or address.path:
        return _method_not_allowed()
    operation, handler = known
    runtime: Runtime = request.app.state.runtime

    async def handle() -> Response:
        job = runtime.queue.jobs.get(address.request_id)
        if job is None or job.head != address.head:
            return refusals.not_found()
        return await handler(request, runtime, job)

    return await runtime.gate.admit(request, handle, operation)


def _method_not_allowed() -> Response:
    return refusals.json_error(405, "Method Not Allowed")


async def submit(request: Request, runtime: Runtime, address: EndpointAddress) -> Response:
    try:
        job = await read_order(request, address)
        most = max_queue_length(request)
    except BadOrderError as error:
        return refusals.bad_request(str(error))
    if most is not None and runtime.queue.length > most:
        return refusals.too_many_requests("The queue of this endpoint is longer than fal_max_queue_length")
    if refusal := refused(runtime, job):
        return refusal
    runtime.queue.accept(job, at_once=job.endpoint not in ENDPOINTS)
    await asyncio.sleep(job.behaviour.answer_delay)
    if job.behaviour.answer_lost:
        return NoAnswer()
    return _answer(job, messages.submitted(job, runtime.queue.position(job)))


def refused(runtime: Runtime, job: Job) -> Response | None:
    """Return the fault answer that the prompt requests, while it still applies."""
    kind = job.behaviour.refusal
    if kind is None or runtime.refused[job.prompt] >= job.behaviour.refusals:
        return None
    runtime.refused[job.prompt] += 1
    return refusals.KINDS[kind]()


async def status(request: Request, runtime: Runtime, job: Job) -> Response:
    code = 200 if job.status is Status.COMPLETED else 202
    return _answer(job, _status(request, runtime, job), code)


async def stream(request: Request, runtime: Runtime, job: Job) -> Response:
    queue = runtime.queue

    async def events() -> AsyncIterator[str]:
        while not queue.closed:
            done = job.status is Status.COMPLETED
            yield f"data: {_status(request, runtime, job)}\n\n"
            if done:
                return
            await job.change(timeout=STREAM_PULSE)

    return StreamingResponse(events(), media_type="text/event-stream", headers={"x-fal-request-id": job.request_id})


async def result(request: Request, runtime: Runtime, job: Job) -> Response:  # noqa: ARG001 - one signature for all
    if job.outcome is None:
        return JSONResponse({"detail": "Request is still in progress"}, 400, {"x-fal-request-id": job.request_id})
    if job.behaviour.expired or _forgotten(runtime, job):
        return refusals.not_found()
    return result_of(job)


async def cancel(request: Request, runtime: Runtime, job: Job) -> Response:  # noqa: ARG001
    if job.status is Status.COMPLETED:
        return JSONResponse({"status": "ALREADY_COMPLETED"}, 400)
    answer = runtime.settings.cancel_answer if job.status is Status.IN_QUEUE else "CANCELLATION_REQUESTED"
    runtime.queue.cancel(job)
    return JSONResponse({"status": answer}, 202)


HANDLERS: dict[tuple[str, str], tuple[Operation, JobHandler]] = {
    ("GET", "status"): ("status", status),
    ("GET", "status/stream"): ("status", stream),
    ("GET", "response"): ("result", result),
    ("PUT", "cancel"): ("cancel", cancel),
}


def result_of(job: Job) -> Response:
    """Return the answer of the model or of the platform, with its status."""
    outcome = job.outcome
    if outcome is None:
        raise ValueError("not completed yet")
    units = format(outcome.units.normalize(), "f")
    headers = {"x-fal-request-id": job.request_id, "x-fal-billable-units": units, **outcome.headers}
    return Response(json.dumps(outcome.body), outcome.code, headers, JSON)


def _status(request: Request, runtime: Runtime, job: Job) -> str:
    with_logs = request.query_params.get("logs", "").lower() in {"1", "true"}
    return messages.status(job, runtime.queue.position(job), runtime.settings, with_logs=with_logs)


def _forgotten(runtime: Runtime, job: Job) -> bool:
    ttl = runtime.settings.result_ttl
    if ttl is None or job.finished_at is None:
        return False
    return time.time() > job.finished_at + runtime.settings.scaled(ttl)


def _answer(job: Job, content: str, code: int = 200) -> Response:
    return Response(content, code, {"x-fal-request-id": job.request_id}, JSON)


routes = [Route("/{path:path}", call, methods=["GET", "POST", "PUT"])]
