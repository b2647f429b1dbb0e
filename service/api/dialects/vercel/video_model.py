"""``/vercel/video-model``: start, status, and the one-call form. Each call is one of the same use cases as ``/v1``."""

import hashlib
from typing import Any, Final, NamedTuple

from fastapi import APIRouter, Request, Response

from service.api.dialects.refusals import note_names
from service.api.dialects.vercel import MODEL_HEADER, PREFIX, answers, openapi
from service.api.dialects.vercel.call import CALL, STATUS_CALL
from service.api.dialects.vercel.fields import Translation, kind_of, translated
from service.api.dialects.vercel.models import named_form
from service.api.dialects.vercel.stream import ResultStream
from service.api.http.bodies import json_body, release_memory
from service.api.http.dependencies import caller_of, runtime, tenant
from service.api.http.raw_route import RawRoute
from service.api.http.response_receipt import client_of
from service.api.http.responses import json_response
from service.api.v1.generations import check_fields, check_images, idempotency_key, traceparent
from service.domain.json_body import parse
from service.domain.request import CreateGeneration
from service.domain.tenant import Scope, Tenant
from service.usecases.generations.create import CreateOptions

router = APIRouter(prefix=f"{PREFIX}/video-model", tags=["vercel"], route_class=RawRoute)

REPLAYED: Final[dict[str, str]] = {"idempotency-replayed": "true"}


class _Order(NamedTuple):
    request: CreateGeneration
    options: CreateOptions
    found: Translation
    digest: str


@router.post(
    "/start",
    summary="Start a video (AI SDK)",
    description="What `experimental_startVideo`, and `experimental_generateVideo` with `poll` or `webhook`, send. The "
    "generation is stored before the response. The AI SDK sends one `idempotency-key` per start, so that its retries "
    "create nothing.",
    responses={**openapi.STARTED, **openapi.refusals(400, 401, 402, 403, 404, 408, 413, 415, 422, 429, 503)},
    openapi_extra=openapi.CALL,
)
async def start_vercel_video(request: Request) -> Response:
    caller = await tenant(request, Scope.GENERATE)
    order = await _read(request, caller)
    creation = await runtime(request).generations.creator.create(caller, order.request, order.options)
    release_memory(request.scope)
    body = answers.started(creation.generation, order.found.warnings)
    return json_response(body, headers=REPLAYED if creation.replayed else {})


@router.post(
    "/status",
    summary="Read the status of a video (AI SDK)",
    description="What the AI SDK polls. It reads a generation of any route of the gateway.",
    responses={**openapi.STATUS, **openapi.refusals(400, 401, 403, 404, 408, 413, 415, 422, 429, 503)},
    openapi_extra=openapi.STATUS_CALL,
)
async def read_vercel_video(request: Request) -> Response:
    caller = await tenant(request, Scope.READ)
    asked = parse(STATUS_CALL, await json_body(request))
    return json_response(answers.status(await runtime(request).generations.reader.get(caller, asked.operation.id)))


@router.post(
    "",
    summary="Make a video in one call (AI SDK)",
    description="What `experimental_generateVideo` sends without `poll` and `webhook`. The response is a stream with "
    "one event at the end, at the latest after the longest time of an event stream. It counts as one of your open "
    "event streams. The AI SDK sends no `idempotency-key` here: a call whose response broke is recognized when it is "
    "sent again.",
    response_class=Response,
    responses={**openapi.RESULT, **openapi.refusals(400, 401, 402, 403, 404, 408, 413, 415, 422, 429, 503)},
    openapi_extra=openapi.CALL,
)
async def run_vercel_video(request: Request) -> Response:
    caller = await tenant(request, Scope.GENERATE)
    gateway = runtime(request)
    gateway.generations.streams.demand_slot(caller)
    order = await _read(request, caller)
    submission = await gateway.generations.resends.create(
        caller, order.request, order.options, digest=order.digest, require_client=client_of(request)
    )
    release_memory(request.scope)
    return ResultStream(request, caller, caller_of(request).credential, submission, order.found.warnings)


async def _read(request: Request, caller: Tenant) -> _Order:
    gateway = runtime(request)
    body = await json_body(request, limit=gateway.settings.max_create_bytes)
    check_fields(body, gateway)
    call = parse(CALL, body)
    forms = gateway.generations.forms
    form = named_form(request, forms, caller.limits, kind_of(call))
    found = translated(call, form, forms, caller.limits)
    note_names(request.scope, found.names)
    wanted = form.check(found.fields, caller.limits)
    check_images(body, wanted, gateway)
    options = CreateOptions(idempotency_key=idempotency_key(request), traceparent=traceparent(request))
    return _Order(wanted, options, found, _digest(request, body))


def _digest(request: Request, body: bytes) -> str:
    """Hash what makes two calls the same: key, path, model, body."""
    scope: dict[str, Any] = dict(request.scope)
    model = request.headers.get(MODEL_HEADER, "")
    parts = (caller_of(request).key.id.encode(), scope["path"].encode(), model.encode(), body)
    whole = b"".join(hashlib.sha256(part).digest() for part in parts)
    return hashlib.sha256(whole).hexdigest()[:32]
