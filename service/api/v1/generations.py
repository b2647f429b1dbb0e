"""``/v1/generations``: create, read, list, cancel."""

import contextlib
import re
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from service.api.http.bodies import json_body, release_memory
from service.api.http.cursor_queries import Cursor
from service.api.http.cursors import decode_cursor, page_of
from service.api.http.dependencies import (
    LONGEST_WAIT,
    WAIT,
    Creator,
    Gateway,
    preferred_wait,
    runtime,
    tenant,
    waiting_call,
)
from service.api.http.etags import IF_NONE_MATCH, validated_json
from service.api.http.generation_queries import METADATA, Code, FalRequestId, metadata_of
from service.api.http.raw_route import QueryRoute, RawRoute
from service.api.http.request_headers import header, optional_header
from service.api.http.responses import json_response
from service.api.schemas import CREATE_BODY, DraftEstimateView, EstimateView, GenerationList, problems
from service.domain import ids
from service.domain.end_user import pseudonym
from service.domain.generation_filter import Filter
from service.domain.generation_view import GenerationView, public
from service.domain.pricing import usd
from service.domain.request import CreateGeneration
from service.domain.status import PublicStatus, Status
from service.domain.tenant import Scope, Tenant
from service.domain.timestamps import Moment, in_range
from service.errors import FieldError, Forbidden, Invalid, StoreUnavailable, TooLarge, TooManyWaiting, Unauthenticated
from service.runtime import Runtime
from service.usecases.generations.admission import DraftQuote
from service.usecases.generations.create import CreateOptions, CreateResult

PATH: Final = "/v1/generations"

router = APIRouter(prefix=PATH, tags=["generations"])
create_router = APIRouter(prefix=PATH, tags=["generations"], route_class=RawRoute)
read_router = APIRouter(prefix=PATH, tags=["generations"], route_class=QueryRoute)

IDEMPOTENCY_KEY_LENGTH: Final = 255
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TOO_LARGE: Final = "The body is larger than {} bytes."
_ACCEPTED: Final = "Accepted. Poll `Location`, follow `/events`, or wait for the webhook."
_CREATE: Final = """\
The generation is stored before the response, and submitted to fal at most once. Its highest possible cost is held in \
the budgets until it ends: up to 4.58 USD with the defaults (`720p`, `auto`), up to 0.71 USD at `480p` with 5 seconds. \
Send an `Idempotency-Key`, so that a repeat after a lost response creates nothing.
"""
PREFER: Final = {
    "name": "Prefer",
    "in": "header",
    "schema": {"type": "string", "examples": ["wait=30"]},
    "description": WAIT,
}
IDEMPOTENCY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_LENGTH},
    "description": "Your name for this create, 1 to 255 characters. A repeat with the same key and body returns the "
    "first generation and creates nothing; with another body it is refused with 422. Default: none, and every repeat "
    "creates (and pays for) a generation.",
}


@create_router.post(
    "",
    summary="Create a generation",
    description=_CREATE,
    status_code=202,
    responses={
        202: {"model": GenerationView, "description": _ACCEPTED},
        **problems(400, 401, 402, 403, 408, 413, 415, 422, 429, 503),
    },
    openapi_extra={**CREATE_BODY, "parameters": [IDEMPOTENCY, PREFER]},
)
async def create_generation(request: Request) -> Response:
    caller = await tenant(request, Scope.GENERATE)
    wait = preferred_wait(request)
    return await answer_created(request, caller, await _accept(request, runtime(request), caller), wait)


async def answer_created(request: Request, caller: Tenant, creation: CreateResult, wait: int) -> Response:
    """Return the response to a create, after its end or ``wait`` seconds, whichever is earlier."""
    gateway, g, position = runtime(request), creation.generation, creation.position
    headers = {"location": f"/v1/generations/{g.id}"}
    if creation.replayed:
        headers["idempotency-replayed"] = "true"
    if wait:
        # It is accepted: a refusal now would be paid for twice.
        with contextlib.suppress(StoreUnavailable, TooManyWaiting, Unauthenticated, Forbidden):
            async with waiting_call(request, caller, Scope.GENERATE):
                g, position = await gateway.generations.reader.wait_for_end(caller, g.id, within=wait), None
            headers["preference-applied"] = f"wait={wait}"
    queue = await gateway.generations.queue_estimator.of(caller, g, position)
    return json_response(public(g, queue), status=202, headers=headers)


async def _accept(request: Request, gateway: Runtime, caller: Tenant) -> CreateResult:
    """Create the generation. The body is no longer in memory when this returns: the response may be held."""
    wanted = read_create(await json_body(request, limit=gateway.settings.max_create_bytes), gateway, caller)
    options = CreateOptions(idempotency_key=idempotency_key(request), traceparent=traceparent(request))
    creation = await gateway.generations.creator.create(caller, wanted, options)
    release_memory(request.scope)
    return creation


@router.post(
    "/estimate",
    summary="Estimate the cost of a generation",
    description="Takes the body of a create. Creates nothing and holds nothing.",
    responses=problems(400, 408, 413, 415, 422),
    openapi_extra=CREATE_BODY,
)
async def estimate_cost(request: Request, gateway: Gateway, caller: Creator) -> EstimateView:
    wanted = gateway.generations.forms.parse(await json_body(request), caller.limits)
    quote = await gateway.generations.admission.quote(caller, wanted)
    parts = quote.parts
    return {
        "object": "estimate",
        "model": gateway.generations.admission.model_of(wanted),
        "currency": "USD",
        "estimated": usd(parts.cost),
        "fits": quote.fits,
        "parts": {
            "seconds": parts.seconds,
            "input_seconds": None if parts.input_seconds is None else float(parts.input_seconds),
            "unit_usd": f"{parts.unit_price:f}",
            "factor": f"{parts.factor:f}",
            "formula": usd(parts.formula),
            "published": _usd(parts.published),
            "decided_by": parts.decided_by,
        },
        "draft": _draft_view(quote.draft),
    }


def _draft_view(quote: DraftQuote | None) -> DraftEstimateView | None:
    if quote is None:
        return None
    return {
        "completion": _usd(quote.completion),
        "total": _usd(quote.total),
        "total_fits": quote.total_fits,
        "direct": _usd(quote.direct),
    }


def _usd(micro: int | None) -> str | None:
    return None if micro is None else usd(micro)


@read_router.get(
    "/{generation_id}",
    summary="Read a generation",
    description="Its status, its place in the queue while it waits, its output or its error, and its cost. An ended "
    "generation has an `ETag`; with it in `If-None-Match`, the response is 304 until an operator corrects the cost.",
    responses={
        200: {"model": GenerationView},
        304: {"description": "Not modified: `If-None-Match` has its ETag."},
        **problems(401, 403, 404, 422, 429, 503),
    },
    openapi_extra={"parameters": [IF_NONE_MATCH]},
)
async def read_generation(
    request: Request,
    generation_id: str,
    wait: Annotated[int, Query(ge=0, le=LONGEST_WAIT, description=WAIT)] = 0,
) -> Response:
    caller = await tenant(request, Scope.READ)
    gateway = runtime(request)
    if wait:
        async with waiting_call(request, caller, Scope.READ):
            g, position = await gateway.generations.reader.wait_for_change(caller, generation_id, within=wait), None
    else:
        g, position = await gateway.generations.reader.get_with_position(caller, generation_id)
    if g.is_terminal:
        return validated_json(request, public(g))
    return json_response(public(g, await gateway.generations.queue_estimator.of(caller, g, position)))


@read_router.get(
    "",
    summary="List generations, newest first",
    description="All generations of the tenant that are not yet deleted. The filters can be combined.",
    responses={200: {"model": GenerationList}, **problems(401, 403, 422, 429, 503)},
    openapi_extra={"parameters": [METADATA]},
)
async def list_generations(
    request: Request,
    status: PublicStatus | None = None,
    end_user_id: Annotated[
        str | None, Query(min_length=1, max_length=256, description="Only generations of this end user. Default: all.")
    ] = None,
    error_code: Code = None,
    fal_request_id: FalRequestId = None,
    created_after: Moment | None = None,
    created_before: Moment | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Cursor = None,
) -> Response:
    caller = await tenant(request, Scope.READ)
    gateway = runtime(request)
    page = await gateway.generations.reader.list(
        caller,
        Filter(
            tenant_id=caller.id,
            status=status,
            error_code=error_code,
            end_user=None if end_user_id is None else pseudonym(caller, end_user_id),
            created_after=in_range(created_after, "/query/created_after"),
            created_before=in_range(created_before, "/query/created_before"),
            fal_request_id=fal_request_id,
            metadata=metadata_of(request),
        ),
        limit=limit,
        after=decode_cursor(cursor, ids.GENERATION),
    )
    queues = await gateway.generations.queue_estimator.of_page(caller, page.items)
    answer: GenerationList = page_of(
        [public(g, queue) for g, queue in zip(page.items, queues, strict=True)], page.after
    )
    return json_response(answer)


@router.post(
    "/{generation_id}/cancel",
    summary="Cancel a generation",
    description="A queued generation is canceled at once and costs nothing. After the submit, fal decides.",
    responses={
        200: {"description": "Canceled."},
        202: {
            "model": GenerationView,
            "description": "fal has the job: a cancel was requested from fal. It may still succeed, and be billed.",
        },
        **problems(409),
    },
)
async def cancel_generation(
    gateway: Gateway, caller: Creator, generation_id: str, response: Response
) -> GenerationView:
    g = await gateway.generations.canceller.cancel(caller, generation_id)
    response.status_code = 200 if g.status is Status.CANCELED else 202
    return public(g)


def read_create(body: bytes, gateway: Runtime, caller: Tenant) -> CreateGeneration:
    """The request in a body, which may be as large as it is only for the images in it.

    Raises as ``parse_create``, and TooLarge.
    """
    check_fields(body, gateway)
    wanted = gateway.generations.forms.parse(body, caller.limits)
    check_images(body, wanted, gateway)
    return wanted


def check_fields(body: bytes, gateway: Runtime) -> None:
    """Refuse millions of fields or numbers, which take seconds to parse; an image has one comma. Raises TooLarge."""
    most = gateway.settings.max_body_bytes
    if len(body) > most and body.count(b",") > most:
        raise TooLarge(_TOO_LARGE.format(most))


def check_images(body: bytes, wanted: CreateGeneration, gateway: Runtime) -> None:
    """Refuse a large body without images. Raises TooLarge."""
    most = gateway.settings.max_body_bytes
    if len(body) > most and not wanted.has_data_uris:
        raise TooLarge(_TOO_LARGE.format(most))


def idempotency_key(request: Request) -> str | None:
    key = optional_header(request.scope, b"idempotency-key")
    if key is not None and not 0 < len(key) <= IDEMPOTENCY_KEY_LENGTH:
        text = f"must have 1 to {IDEMPOTENCY_KEY_LENGTH} characters"
        raise Invalid(FieldError("/header/Idempotency-Key", text, "string_length"))
    return key


def traceparent(request: Request) -> str | None:
    """W3C Trace Context; a malformed one is ignored, as its specification says."""
    value = header(request.scope, b"traceparent")
    return value if _TRACEPARENT.fullmatch(value) else None
