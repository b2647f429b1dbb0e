"""Compression of large JSON and text, for clients that accept gzip.

Small bodies pass by: the hot routes pay for one look at the headers. Streams, videos and files are sent as they are.

An attacker who sees the length of compressed responses, and whose text is in them, can guess other text of them
(BREACH). So responses with secrets are never compressed (``NO_TRANSFORM``, which proxies understand too), and every
other one has a name of varying length in its gzip header, as in Django ("Heal the BREACH"). The length depends on the
body by a hash with a key of this process: HEAD has the length of GET.
"""

import asyncio
import gzip
import io
from typing import Any, Final

from fastapi import Depends, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.http import accept

#: A body below this is a few packets: compressing it costs more time than it saves.
SMALLEST: Final = 8 * 1024
#: The bound on the processor time of one response: 10 ms for text, 80 ms for random letters.
LARGEST: Final = 1024 * 1024
#: A larger body is compressed in a thread: random letters would hold up the event loop for more than 5 ms.
_LARGEST_IN_LOOP: Final = 64 * 1024
#: For text a quarter of the time of gzip's usual level, and a fifth more bytes.
_LEVEL: Final = 1
_LONGEST_NAME: Final = 100
_MEDIA_TYPES: Final = ("application/json", "text/csv", "text/html", "text/markdown", "text/plain")
#: ``Cache-Control`` of a response with a secret.
NOT_TRANSFORMED: Final = "no-store, no-transform"


async def _no_transform(response: Response) -> None:
    response.headers["cache-control"] = NOT_TRANSFORMED


NO_TRANSFORM: Final[Any] = Depends(_no_transform)
"""Dependency of a route that answers with a secret."""


class Compression:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        held: Message | None = None

        async def send_compressed(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start":
                held = message if _is_compressible(message) else None
                if held is not None:  # its length depends on the body
                    return
            elif held is not None:
                start, held = held, None
                if not message.get("more_body", False) and _accepts_gzip(scope):
                    message = await _compressed(start, message.get("body", b""))
                await send(start)
            await send(message)

        await self._app(scope, receive, send_compressed)


def _is_compressible(start: Message) -> bool:
    """Return whether the response may be compressed, and say in ``Vary`` that it depends on the request."""
    if start["status"] != 200:
        return False
    length = next((value for name, value in start.get("headers", ()) if name == b"content-length"), b"0")
    if not SMALLEST <= int(length) <= LARGEST:
        return False
    headers = MutableHeaders(scope=start)
    if (
        headers.get("content-type", "").partition(";")[0] not in _MEDIA_TYPES
        or "content-encoding" in headers
        or "no-transform" in headers.get("cache-control", "")
    ):
        return False
    headers.append("vary", "accept-encoding")
    return True


def _accepts_gzip(scope: Scope) -> bool:
    wanted = ",".join(Headers(scope=scope).getlist("accept-encoding")).lower().replace("x-gzip", "gzip")  # a synonym
    return accept.best(wanted, ("gzip", "identity")) == "gzip"


async def _compressed(start: Message, body: bytes) -> Message:
    packed = _packed(body) if len(body) <= _LARGEST_IN_LOOP else await asyncio.to_thread(_packed, body)
    headers = MutableHeaders(scope=start)
    headers["content-encoding"] = "gzip"
    headers["content-length"] = str(len(packed))
    return {"type": "http.response.body", "body": packed}


def _packed(body: bytes) -> bytes:
    buffer, name = io.BytesIO(), "x" * (hash(body) % _LONGEST_NAME + 1)
    with gzip.GzipFile(name, "wb", _LEVEL, buffer, mtime=0) as file:
        file.write(body)
    return buffer.getvalue()
