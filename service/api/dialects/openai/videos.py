"""``/openai/v1/videos``: create, read, list, download and delete (cancel), as OpenAI's SDKs call them."""

import math
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic_core import to_json

from service.api.dialects import creates
from service.api.dialects.openai import fields
from service.api.dialects.openai.openapi import CREATE, CREATED, DELETED, LISTED, POLL_AFTER, READ, answers
from service.api.dialects.openai.view import page, video
from service.api.dialects.pacing import poll_after
from service.api.http.bodies import release_memory, whole_body
from service.api.http.dependencies import Creator, Gateway, Reader, runtime, tenant
from service.api.http.forms import form_of
from service.api.http.raw_route import QueryRoute, RawRoute
from service.api.http.request_headers import header
from service.api.http.response_receipt import NotedResponse
from service.api.http.responses import json_response
from service.api.http.video_response import video_response
from service.api.v1.generations import check_fields, check_images
from service.api.v1.uploads import FORM
from service.api.v1.videos import RANGE, VIDEO
from service.domain import ids
from service.domain.generation import Generation
from service.domain.generation_filter import Filter
from service.domain.generation_view import QueueView
from service.domain.request import CreateGeneration
from service.domain.tenant import Scope, Tenant
from service.errors import FieldError, Invalid, NotCancellable, TooLarge, UnsupportedMedia
from service.runtime import Runtime

PATH: Final = "/openai/v1/videos"
_JSON: Final = "application/json"
_VARIANTS: Final = ("video", "thumbnail", "spritesheet")

create_router = APIRouter(prefix=PATH, tags=["openai"], route_class=RawRoute)
read_router = APIRouter(prefix=PATH, tags=["openai"], route_class=QueryRoute)
router = APIRouter(prefix=PATH, tags=["openai"])


@create_router.post(
    "",
    summary="Create a video",
    description="A generation in OpenAI's form, as `multipart/form-data` or JSON. Fields of `POST /v1/generations` are "
    "accepted too (`extra_body` of the SDK), unknown ones are refused. A request that the SDK repeats on its own "
    "creates nothing twice.",
    responses={**CREATED, **answers(400, 401, 402, 403, 404, 408, 413, 415, 429, 503)},
    openapi_extra=CREATE,
)
async def create_openai_video(request: Request) -> Response:
    caller = await tenant(request, Scope.GENERATE)
    gateway = runtime(request)
    submission = await creates.create(request, caller, await _read(request, gateway, caller))
    release_memory(request.scope)
    g, creation = submission.generation, submission.creation
    queue = await gateway.generations.queue_estimator.of(caller, g, creation.position)
    headers = _poll_header(g, queue)
    if creation.replayed:
        headers["idempotency-replayed"] = "true"
    body = to_json(video(g, gateway.settings.retention))
    return NotedResponse(submission.receipt, body, 200, headers=headers, media_type=_JSON)


@read_router.get(
    "/{video_id}",
    summary="Read a video",
    description=f"`{POLL_AFTER}` has the milliseconds until the next poll; the SDK follows it.",
    responses={**READ, **answers(400, 401, 403, 404, 429, 503)},
)
async def read_openai_video(request: Request, video_id: str) -> Response:
    caller = await tenant(request, Scope.READ)
    gateway = runtime(request)
    g, position = await gateway.generations.reader.get_with_position(caller, video_id)
    queue = await gateway.generations.queue_estimator.of(caller, g, position)
    return json_response(video(g, gateway.settings.retention), headers=_poll_header(g, queue))


@read_router.get(
    "",
    summary="List videos",
    description="All generations of the tenant that are not yet deleted, also those that other APIs have created.",
    responses={**LISTED, **answers(400, 401, 403, 429, 503)},
)
async def list_openai_videos(
    request: Request,
    after: Annotated[str | None, Query(description="Id of the last video of the page before. Default: none.")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Most videos of the page. Default 20.")] = 20,
    order: Annotated[
        Literal["asc", "desc"], Query(description="Order by time of creation. Default `desc`: the newest first.")
    ] = "desc",
) -> Response:
    caller = await tenant(request, Scope.READ)
    gateway = runtime(request)
    if after is not None and not ids.is_id(ids.GENERATION, after):
        raise Invalid(FieldError("/query/after", "is not the id of a video", "cursor"))
    found = await gateway.generations.reader.list(caller, Filter(oldest_first=order == "asc"), limit=limit, after=after)
    views = [video(g, gateway.settings.retention) for g in found.items]
    return json_response(page(views, has_more=found.after is not None))


@router.get(
    "/{video_id}/content",
    summary="Download a video",
    description="As `GET /v1/generations/{generation_id}/video`: the bytes, or a redirect to them.",
    responses={**VIDEO, **answers(400, 401, 403, 404, 409, 412, 416, 429, 503)},
    response_class=Response,
    openapi_extra={"parameters": [RANGE]},
)
async def read_openai_video_content(
    request: Request,
    caller: Reader,
    video_id: str,
    variant: Annotated[
        str, Query(description="`video`. There is no `thumbnail` and no `spritesheet`. Default `video`.")
    ] = "video",
) -> Response:
    if variant != "video":
        text = "is not available: videos have no thumbnail and no spritesheet; download variant=video"
        detail = f"{variant} {text}" if variant in _VARIANTS else "must be 'video'"
        raise Invalid(FieldError("/query/variant", detail, "literal_error"))
    return await video_response(request, caller, video_id)


@router.delete(
    "/{video_id}",
    summary="Cancel a video",
    description="Cancels a generation that has not ended, as `POST /v1/generations/{generation_id}/cancel`: the video "
    "is then `failed` with the code `canceled`. An ended one is left unchanged until its retention is over, and "
    "`deleted` is `false`.",
    responses={**DELETED, **answers(400, 401, 403, 404, 429, 503)},
)
async def delete_openai_video(gateway: Gateway, caller: Creator, video_id: str) -> Any:
    try:
        await gateway.generations.canceller.cancel(caller, video_id)
    except NotCancellable:
        return {"id": video_id, "object": "video.deleted", "deleted": False}
    return {"id": video_id, "object": "video.deleted", "deleted": True}


async def _read(request: Request, gateway: Runtime, caller: Tenant) -> CreateGeneration:
    """Return the request in a body. The body is no longer in memory when this returns."""
    declared = header(request.scope, b"content-type")
    media = declared.partition(";")[0].strip().lower()
    if media not in (FORM, _JSON):
        raise UnsupportedMedia(f"Send the body as {FORM} or {_JSON}.")
    most = gateway.settings.max_create_bytes
    try:
        body = await whole_body(request, limit=most)
    except TooLarge:
        raise TooLarge(
            f"The body is larger than {most} bytes. Upload a larger image with POST /v1/uploads, and send its URL."
        ) from None
    given = fields.of_form(form_of(body, declared)) if media == FORM else _object(body, gateway)
    forms = gateway.generations.forms
    wanted = fields.parse(given, request, forms, caller.limits, texts=media == FORM)
    check_images(body, wanted, gateway)
    return wanted


def _object(body: bytes, gateway: Runtime) -> dict[str, Any]:
    check_fields(body, gateway)
    return fields.of_json(body)


def _poll_header(g: Generation, queue: QueueView | None) -> dict[str, str]:
    seconds = poll_after(g, queue)
    return {} if seconds is None else {POLL_AFTER: str(math.ceil(seconds * 1000))}
