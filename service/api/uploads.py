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

PATH: Final = "/v1/uploads"
#: Content types fal's model takes, and what a file of each begins with.
_SUFFIX: Final = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
_MAGIC: Final = {
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),  # RIFF alone may be sound
}
_MAGIC_LENGTH: Final = 12
_UPLOAD_SECONDS: Final = 120

router = APIRouter(prefix=PATH, tags=["uploads"])


class _Counted:
    """The body's chunks on their way through: how many bytes, and whether they begin as they should."""

    def __init__(self, chunks: AsyncIterator[bytes], content_type: str) -> None:
        self._chunks = chunks
        self._content_type = content_type
        self.size = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        head = b""  # a slow sender's first chunk may be a single byte
        async for chunk in self._chunks:
            if self.size == 0:
                head += chunk
            if chunk and len(head) >= _MAGIC_LENGTH:
                yield self._count(chunk if self.size else self._checked(head))
        if self.size == 0:
            raise self._refusal() if head else Malformed("The body is empty.")

    def _count(self, chunk: bytes) -> bytes:
        self.size += len(chunk)
        return chunk

    def _checked(self, head: bytes) -> bytes:
        if not _MAGIC[self._content_type].match(head):
            raise self._refusal()
        return head

    def _refusal(self) -> Invalid:
        return Invalid(FieldError("", f"the bytes are no {self._content_type}", "image_format"))


@router.post(
    "",
    summary="Upload an image",
    status_code=201,
    responses={201: {"model": UploadView}, **problems(400, 401, 403, 408, 413, 415, 422, 503)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {name: {"schema": {"type": "string", "format": "binary"}} for name in _SUFFIX},
        }
    },
)
async def upload(request: Request) -> Response:
    await tenant(request, Scope.GENERATE)
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in _SUFFIX:
        raise UnsupportedMedia("Send the raw bytes of a JPEG, PNG or WebP image with its content type.")
    body = _Counted(request.stream(), content_type)
    try:
        async with asyncio.timeout(_UPLOAD_SECONDS):
            url = await runtime(request).storage.upload(
                body.__aiter__(), content_type=content_type, file_name=f"image.{_SUFFIX[content_type]}"
            )
    except TimeoutError:
        raise Timeout(f"The upload took longer than {_UPLOAD_SECONDS} seconds.") from None
    except ClientDisconnect:
        raise Malformed("The body ended early.") from None
    answer: UploadView = {"object": "upload", "url": url, "content_type": content_type, "size": body.size}
    return json_response(answer, status=201)
