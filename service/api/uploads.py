"""``/v1/uploads``: an image's bytes in, a URL for ``image_url`` out; streamed on, never held whole."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from service.api.answers import json_response
from service.api.dependencies import runtime, tenant
from service.api.schemas import UploadView, problems
from service.domain.tenant import Scope
from service.errors import FieldError, Invalid, Malformed, Timeout, UnsupportedMedia
from service.fal.storage import Place

PATH: Final = "/v1/uploads"
#: Content types fal's model takes, and what a file of each begins with.
SUFFIX: Final = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
_MAGIC: Final = {
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),  # RIFF alone may be sound
}
_MAGIC_LENGTH: Final = 12
_UPLOAD_SECONDS: Final = 120

router = APIRouter(prefix=PATH, tags=["uploads"])


class _Image:
    """A body on its way through: begun, so that its first bytes can be looked at, and counted."""

    def __init__(self, chunks: AsyncIterator[bytes], content_type: str) -> None:
        self._chunks = chunks
        self._content_type = content_type
        self._head = b""
        self.size = 0

    async def open(self) -> None:
        """Read enough to know the format; nothing has left for fal before that."""
        async for chunk in self._chunks:  # a slow sender's first may be a single byte
            self._head += chunk
            if len(self._head) >= _MAGIC_LENGTH:
                break
        if not self._head:
            raise Malformed("The body is empty.")
        if not _MAGIC[self._content_type].match(self._head):
            raise Invalid(FieldError("", f"the bytes are no {self._content_type}", "image_format"))

    async def chunks(self) -> AsyncIterator[bytes]:
        self.size = len(self._head)
        yield self._head
        async for chunk in self._chunks:
            self.size += len(chunk)
            yield chunk


@router.post(
    "",
    summary="Upload an image",
    status_code=201,
    responses={201: {"model": UploadView}, **problems(400, 401, 403, 408, 413, 415, 422, 429, 503)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {name: {"schema": {"type": "string", "format": "binary"}} for name in SUFFIX},
        }
    },
)
async def upload(request: Request) -> Response:
    await tenant(request, Scope.GENERATE)
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in SUFFIX:
        raise UnsupportedMedia("Send the raw bytes of a JPEG, PNG or WebP image with its content type.")
    url, size = await stored(request, content_type)
    answer: UploadView = {"object": "upload", "url": url, "content_type": content_type, "size": size}
    return json_response(answer, status=201)


async def stored(request: Request, content_type: str, place: Place | None = None) -> tuple[str, int]:
    """The body, looked at and stored; where a place was promised, there. Its URL and size."""
    storage, image = runtime(request).storage, _Image(request.stream(), content_type)
    try:
        async with asyncio.timeout(_UPLOAD_SECONDS):
            await image.open()
            if place is None:
                place = await storage.place(content_type=content_type, file_name=f"image.{SUFFIX[content_type]}")
            await storage.put(place, image.chunks(), content_type=content_type)
    except TimeoutError:
        raise Timeout(f"The upload took longer than {_UPLOAD_SECONDS} seconds.") from None
    except ClientDisconnect:
        raise Malformed("The body ended early.") from None
    return place.file_url, image.size
