"""``/v1/generations/{id}/video``: serve the stored video (Range supported), or redirect to it."""

import base64
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from service.api.http import etags, ranges
from service.api.http.dependencies import Reader, runtime
from service.api.http.methods import is_head
from service.api.http.ranges import Range
from service.api.http.streaming import TimedStream
from service.api.schemas import problems
from service.domain.tenant import Tenant
from service.errors import PreconditionFailed
from service.observability import metrics
from service.usecases.generations.videos import VideoRedirect, VideoStream

router = APIRouter(prefix="/v1/generations", tags=["generations"])

_MP4: Final = {"video/mp4": {"schema": {"type": "string", "format": "binary"}}}
VIDEO: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The video.", "content": _MP4},
    206: {"description": "The part that `Range` requests.", "content": _MP4},
    304: {"description": "Not modified: `If-None-Match` names its ETag."},
    307: {"description": "The video is at `Location`, which needs no key."},
    416: {"description": "`Range` lies outside the video."},
}
RANGE: Final = {
    "name": "Range",
    "in": "header",
    "schema": {"type": "string", "examples": ["bytes=0-1048575"]},
    "description": "The part of the file to return. Default: the whole file.",
}


@router.get(
    "/{generation_id}/video",
    summary="Download the video",
    description="The bytes, with `Range`, `If-Range`, `If-Match` and `If-None-Match`, or a redirect to a URL that "
    "serves them. 409 until the generation has succeeded.",
    responses={**VIDEO, **problems(401, 403, 404, 409, 412, 429, 503)},
    response_class=Response,
    openapi_extra={"parameters": [RANGE]},
)
async def read_video(request: Request, caller: Reader, generation_id: str) -> Response:
    return await video_response(request, caller, generation_id)


async def video_response(request: Request, caller: Tenant, generation_id: str) -> Response:
    """Return the bytes of a video that the request's headers ask for, or a redirect to them.

    Raises NotFound, VideoNotReady, MediaUnavailable, PreconditionFailed, TooManyDownloads.
    """
    gateway = runtime(request)
    found = await gateway.generations.videos.find(caller, generation_id, follow=not is_head(request.scope))
    if isinstance(found, VideoRedirect):
        return RedirectResponse(found.url, headers={"cache-control": "no-store"})
    etag, size = f'"{found.kept.sha256}"', found.kept.size
    headers = _headers(found, etag)
    if ranges.is_refused(request.headers, etag):
        raise PreconditionFailed("If-Match has another ETag than the video.")
    if not etags.is_modified(request.headers, etag):
        return Response(status_code=304, headers=headers)
    try:
        part = ranges.wanted(request.headers, size, etag)
    except ranges.Unsatisfiable:
        return Response(status_code=416, headers={"content-range": f"bytes */{size}"})
    start, end = part or Range(0, size)
    headers["content-length"] = str(end - start)
    if part is not None:
        headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    status = 200 if part is None else 206
    if is_head(request.scope):
        return Response(status_code=status, headers=headers, media_type=found.content_type)
    return TimedStream(
        partial(gateway.generations.videos.read, found.kept, start, end),
        status,
        headers=headers,
        media_type=found.content_type,
        slot=gateway.generations.videos.slot(caller),
        seconds=gateway.settings.video_read_timeout.total_seconds(),
        on_slow=metrics.VIDEO_DOWNLOADS_STOPPED.inc,
    )


def _headers(found: VideoStream, etag: str) -> dict[str, str]:
    digest = base64.b64encode(bytes.fromhex(found.kept.sha256)).decode()
    return {
        "accept-ranges": "bytes",
        "etag": etag,
        "repr-digest": f"sha-256=:{digest}:",  # RFC 9530
        "cache-control": "private, max-age=31536000, immutable",
    }
