"""``/fal/run``: submit a request and wait for its end."""

import asyncio
from typing import Final

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from service.api.fal import addresses, authentication, submit_request
from service.api.fal.openapi import ENDPOINT, ORDER, RESULT, answers, events
from service.api.fal.responses import JSON, REQUEST_ID
from service.api.fal.route import FalRoute
from service.api.http.dependencies import caller_of, runtime
from service.api.http.response_receipt import NotedResponse
from service.domain import fal_view
from service.domain.generation import Generation
from service.domain.tenant import Scope, Tenant
from service.errors import Forbidden, TooMany, Unauthenticated
from service.usecases.generations.resends import Submission

router = APIRouter(prefix=addresses.RUN, tags=["fal"], route_class=FalRoute)

#: Interval of disconnect checks and lease renewals while a request waits; well within the lease of its response.
_ROUND_SECONDS: Final = 0.5
_LONGEST_RUN: Final = 3600.0
_RUN: Final = {**RESULT, **answers(400, 401, 402, 403, 404, 408, 413, 415, 422, 429, 499, 500, 503, 504)}
_EXAMPLE: Final = '{"video":{"url":"https://v3b.fal.media/files/b/0a9e/video.mp4"},"seed":7}'
_BODY: Final = {**ORDER, "parameters": [ENDPOINT, *ORDER["parameters"]]}


@router.post(
    f"{addresses.ENDPOINT_PATH}/stream",
    summary="Run and wait (one server-sent event)",
    description="As `run`; the one event has the output of the model.",
    response_class=Response,
    responses={**_RUN, **events(_EXAMPLE)},
    openapi_extra=_BODY,
)
async def stream_fal_request(request: Request) -> Response:
    submission, ended = await _run(request)
    if ended.status != 200:
        return _answer(request, submission, ended)
    event = b"data: " + to_json(ended.body) + b"\n\n"
    return _noted(request, submission, event, ended, "text/event-stream")


@router.post(
    addresses.ENDPOINT_PATH,
    summary="Run and wait",
    description="Waits an hour at most, then responds 504; the request continues.",
    responses=_RUN,
    openapi_extra=_BODY,
)
async def run_fal_request(request: Request) -> Response:
    return _answer(request, *await _run(request))


async def _run(request: Request) -> tuple[Submission, fal_view.FalResponse]:
    """Submit and wait. Raises TooMany (429) if too many wait, or the process stops: both official clients retry 429."""
    tenant = await authentication.tenant(request, Scope.GENERATE)
    model = addresses.model_of(request, request.path_params["endpoint"])
    with runtime(request).generations.long_polls.slot(tenant):
        submission = await submit_request.submit(request, tenant, model)
        g = await _ended(request, tenant, submission)
    if not g.is_terminal and runtime(request).generations.reader.stopped_waiting:
        await submission.receipt.lost()
        raise TooMany("The gateway is stopping; the same request again waits for the same video.", retry_after=1)
    return submission, fal_view.result(g) if g.is_terminal else fal_view.RAN_TOO_LONG


async def _ended(request: Request, tenant: Tenant, submission: Submission) -> Generation:
    """Wait for the end. Returns earlier if the client disconnects, the hour is over or the process stops.

    Raises Unauthenticated or Forbidden if the key is refused meanwhile.
    """
    gateway, loop = runtime(request), asyncio.get_running_loop()
    reader, open_calls = gateway.generations.reader, gateway.tenants.open_calls
    g, give_up = submission.generation, loop.time() + _LONGEST_RUN
    try:
        async with open_calls.open(caller_of(request).credential, Scope.GENERATE, tenant):
            while not g.is_terminal and loop.time() < give_up and not await request.is_disconnected():
                if reader.stopped_waiting:
                    break
                await submission.receipt.prolong()
                g = await reader.wait_for_end(tenant, g.id, within=_ROUND_SECONDS)
    except (Unauthenticated, Forbidden):
        await submission.receipt.lost()
        raise
    return g


def _answer(request: Request, submission: Submission, ended: fal_view.FalResponse) -> Response:
    return _noted(request, submission, to_json(ended.body), ended, JSON)


def _noted(
    request: Request, submission: Submission, content: bytes, ended: fal_view.FalResponse, media_type: str
) -> Response:
    headers = {REQUEST_ID: submission.generation.id, **submit_request.ignored_header(request), **ended.headers}
    return NotedResponse(submission.receipt, content, ended.status, headers=headers, media_type=media_type)
