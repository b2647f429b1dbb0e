"""fal.run: the synchronous call. Its stream is a single event, because this model streams nothing."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import refusals
from sandbox.connection import NoAnswer
from sandbox.job import Job, Status
from sandbox.queue import Queue
from sandbox.routes.address import EndpointAddress, endpoint_address
from sandbox.routes.orders import BadOrderError, read_order
from sandbox.routes.queue import refused, result_of
from sandbox.runtime import Runtime

STREAM = "/stream"


async def run(request: Request) -> Response:
    text = request.path_params["path"]
    streamed = text.endswith(STREAM)
    address = endpoint_address(text.removesuffix(STREAM))
    if address is None:
        return refusals.json_error(404, "Not Found")
    runtime: Runtime = request.app.state.runtime
    answer = await runtime.gate.admit(request, lambda: _run(request, runtime, address), "submit")
    return _as_event(answer) if streamed and answer.status_code == 200 else answer


async def _run(request: Request, runtime: Runtime, address: EndpointAddress) -> Response:
    try:
        job = await read_order(request, address)
    except BadOrderError as error:
        return refusals.bad_request(str(error))
    if not runtime.queue.has_free_slot():
        return refusals.too_many_requests()
    if refusal := refused(runtime, job):
        return refusal
    queue = runtime.queue
    queue.accept(job, at_once=True)
    await _completion(queue, job)
    return NoAnswer() if job.behaviour.answer_lost or job.outcome is None else result_of(job)


async def _completion(queue: Queue, job: Job) -> None:
    while job.status is not Status.COMPLETED and not queue.closed:
        await job.change()


def _as_event(answer: Response) -> Response:
    content = b"data: " + bytes(answer.body) + b"\n\n"
    headers = {name: value for name, value in answer.headers.items() if name.startswith("x-fal-")}
    return Response(content, 200, headers, "text/event-stream")


routes = [Route("/{path:path}", run, methods=["POST"])]
