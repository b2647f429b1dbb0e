"""A video as a response: its bytes with ranges and preconditions, or a redirect to it."""

import base64
from functools import partial

from fastapi import Request, Response
from starlette.responses import RedirectResponse

from service.api.http import etags, ranges
from service.api.http.dependencies import runtime
from service.api.http.methods import is_head
from service.api.http.ranges import Range
from service.api.http.streaming import TimedStream
from service.domain.tenant import Tenant
from service.errors import PreconditionFailed
from service.observability import metrics
from service.usecases.generations.videos import VideoRedirect, VideoStream


async def video_response(request: Request, caller: Tenant, generation_id: str) -> Response:
    """Return the bytes of a video that the request's headers ask for, or a redirect to them.

    Raises NotFound, VideoNotReady, MediaUnavailable, PreconditionFailed, RangeUnsatisfiable, TooManyDownloads.
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
    part = ranges.wanted(request.headers, size, etag)
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
