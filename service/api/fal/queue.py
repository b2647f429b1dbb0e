"""``/fal/queue``: submit, status, status stream, result, cancel. Only a submit leads to a request to fal."""

from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from service.api.fal import addresses, authentication, submit_request
from service.api.fal.openapi import CANCELED, ENDPOINT, ORDER, REQUEST, RESULT, STATUS, SUBMITTED, answers, events
from service.api.fal.responses import JSON, REQUEST_ID, UnknownRequest, answer
from service.api.fal.route import FalRoute
from service.api.fal.stream import StatusStream, wants_logs
from service.api.http.dependencies import count_call, runtime
from service.api.http.response_receipt import NotedResponse
from service.domain import fal_view
from service.domain.generation import Generation
from service.domain.status import Status
from service.domain.tenant import Scope, Tenant
from service.errors import NotCancellable, NotFound

router = APIRouter(prefix=addresses.QUEUE, tags=["fal"], route_class=FalRoute)

_REQUEST_PATH: Final = f"{addresses.ENDPOINT_PATH}/requests/{{request_id}}"
_EXAMPLE: Final = '{"status":"IN_QUEUE","request_id":"gen_…","queue_position":0,"logs":[]}'


@router.get(
    f"{_REQUEST_PATH}/status",
    summary="Read the status of a request",
    description="Counts against a limit of reads, not against the rate limit, because fal's clients poll ten times a "
    "second. `logs=1` or `logs=true` adds the log.",
    responses={**STATUS, **answers(401, 403, 404, 429, 503)},
    openapi_extra=REQUEST,
)
async def read_fal_status(request: Request) -> Response:
    tenant, g = await _asked(request)
    code, body = await _status(request, tenant, g)
    return answer(body, g.id, status=code)


@router.get(
    f"{_REQUEST_PATH}/status/stream",
    summary="Follow the status of a request (server-sent events)",
    description="Each event has the body of `…/status`. The stream ends with the request.",
    response_class=Response,
    responses={**events(_EXAMPLE), **answers(401, 403, 404, 429, 503)},
    openapi_extra=REQUEST,
)
async def follow_fal_request(request: Request) -> Response:
    tenant = await authentication.reader(request, request.path_params["request_id"])
    _request_id(request)
    return StatusStream(request, tenant, partial(addresses.request_url, request))


@router.get(
    _REQUEST_PATH,
    summary="Read the result of a request",
    description="400 until the request has ended; then the output of the model, or the error with fal's status.",
    responses={**RESULT, **answers(400, 401, 403, 404, 422, 429, 499, 500, 503, 504)},
    openapi_extra=REQUEST,
)
@router.get(
    f"{_REQUEST_PATH}/response",
    name="read_fal_response",
    summary="Read the result of a request (alias of `…/requests/{request_id}`)",
    description="The same response as `…/requests/{request_id}`: `response_url` names this path.",
    responses={**RESULT, **answers(400, 401, 403, 404, 422, 429, 499, 500, 503, 504)},
    openapi_extra=REQUEST,
)
async def read_fal_result(request: Request) -> Response:
    _, g = await _asked(request)
    ended = fal_view.result(g)
    return answer(ended.body, g.id, status=ended.status, headers=ended.headers)


@router.put(
    f"{_REQUEST_PATH}/cancel",
    summary="Cancel a request",
    description="A queued request is canceled at once and costs nothing. After the submit, fal decides. 400 if the "
    "request has ended.",
    status_code=202,
    responses={**CANCELED, **answers(400, 401, 403, 404, 429, 503)},
    openapi_extra=REQUEST,
)
async def cancel_fal_request(request: Request) -> Response:
    tenant = await authentication.tenant(request, Scope.GENERATE)
    name = _request_id(request)
    try:
        await runtime(request).generations.canceller.cancel(tenant, name)
    except NotCancellable:
        return answer({"status": "ALREADY_COMPLETED"}, name, status=400)
    except NotFound as error:
        raise UnknownRequest(error.detail) from None
    return answer({"status": "CANCELLATION_REQUESTED"}, name, status=202)


@router.post(
    addresses.ENDPOINT_PATH,
    summary="Submit a request",
    description="The body is the input of the model; an invalid body is refused at once. As at fal, unknown fields are "
    'left out (`X-Fal-Ignored-Fields` names them) and scalars are converted: `"7"`, `"true"`, `"5s"`. '
    "`fal_webhook` receives the end in fal's form, signed with the key of `/fal/.well-known/{tenant_id}/jwks.json`.",
    responses={**SUBMITTED, **answers(400, 401, 402, 403, 404, 408, 413, 415, 422, 429, 503)},
    openapi_extra={**ORDER, "parameters": [ENDPOINT, *ORDER["parameters"]]},
)
async def submit_fal_request(request: Request) -> Response:
    tenant = await authentication.tenant(request, Scope.GENERATE)
    model = addresses.model_of(request, request.path_params["endpoint"])
    addresses.public_url(request)
    submission = await submit_request.submit(request, tenant, model)
    g = submission.generation
    position = submission.creation.position
    if position is None:
        position = await runtime(request).stores.queue.position(tenant.id, g.id)
    body = to_json(fal_view.submitted(g, addresses.request_url(request, g), position or 0))
    headers = {REQUEST_ID: g.id, **submit_request.ignored_header(request)}
    return NotedResponse(submission.receipt, body, 200, headers=headers, media_type=JSON)


async def _asked(request: Request) -> tuple[Tenant, Generation]:
    tenant = await authentication.reader(request, request.path_params["request_id"])
    try:
        return tenant, await runtime(request).generations.reader.get(tenant, _request_id(request))
    except NotFound as error:
        # An unknown id has no pollers: the read is an ordinary call, so that ids cannot be tried at the pace of polls.
        await count_call(request, tenant)
        raise UnknownRequest(error.detail) from None


def _request_id(request: Request) -> str:
    addresses.check_requests_of(request, request.path_params["endpoint"])
    found: str = request.path_params["request_id"]
    return found


async def _status(request: Request, tenant: Tenant, g: Generation) -> tuple[int, dict[str, Any]]:
    position = await runtime(request).stores.queue.position(tenant.id, g.id) if g.status is Status.QUEUED else None
    url = addresses.request_url(request, g)
    return fal_view.status(g, url, position, with_logs=wants_logs(request))
