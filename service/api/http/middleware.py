"""ASGI middleware: request id, timing, rate headers, access log, and the bound on bodies."""

import math
import os
import re
import time
from collections.abc import Iterator, Mapping
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.http.access_log import AccessLog
from service.errors import TooLarge
from service.observability import log

_VALID_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")
#: The server reads a refused body to its end if it has at most this many times the limit: a client that writes its
#: whole body before it reads then receives the response. For a larger or chunked body the connection is closed.
_READ_TO_END: Final = 4
#: Scope key for a continuation ``async (receive, send)``. Event streams run it after the framework has returned, which
#: saves 6 kB of stack frames per open stream.
REST: Final = "gateway.rest"
#: What the access log reads of the scope after a continuation. Dropping the rest saves another 2 kB per stream.
_LOGGED: Final = ("method", "route")


class RequestContextMiddleware:
    """Add ``X-Request-Id`` (the caller's if it is valid) and ``Server-Timing`` to every response; log every request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._calls = AccessLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_at, status = time.perf_counter(), 500
        given = header(scope, b"x-request-id")
        request_id = given if _VALID_ID.match(given) else os.urandom(16).hex()
        inner: Scope = {**scope, "request_id": request_id}
        log.begin(request_id=request_id, tenant=None, generation_id=None)  # a call sent ahead begins within another

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                timing = f"gw;dur={(time.perf_counter() - started_at) * 1000:.2f}"
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                    *_rate_headers(inner),
                    (b"server-timing", timing.encode()),
                ]
            await send(message)

        try:
            await self._app(inner, receive, send_with_headers)
            if (continuation := inner.pop(REST, None)) is not None:
                inner = {name: inner[name] for name in _LOGGED}
                await continuation(receive, send_with_headers)
        finally:
            self._calls.ended(inner, status, time.perf_counter() - started_at)
            log.clear()


def header(scope: Scope, name: bytes) -> str:
    """Return the first header of this lower-case name, or "". Parsing all headers in every layer would cost more."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return ""


def _rate_headers(scope: Scope) -> Iterator[tuple[bytes, bytes]]:
    rate = scope.get("rate")
    if rate is not None:
        yield b"ratelimit-policy", f'"{rate.bucket}";q={rate.per_minute};w=60'.encode()
        yield b"ratelimit", f'"{rate.bucket}";r={rate.left};t={math.ceil(rate.whole_in.total_seconds())}'.encode()


class BodyLimit:
    """Refuse bodies over the limit with 413: by ``Content-Length`` before the endpoint, otherwise by counting bytes."""

    def __init__(self, app: ASGIApp, *, limit: int, exact: Mapping[str, int], others: Mapping[str, int]) -> None:
        self._app = app
        self._limit = limit
        self._exact = exact
        """Limits by whole path."""
        self._others = tuple(others.items())
        """Limits by prefix of the path."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit_of(scope["path"])
        scope["body_limit"] = limit
        length = header(scope, b"content-length").lstrip("0")  # Python reads no number of more than 4,300 digits
        scope["body_too_large"] = length.isdecimal() and int(length) > limit
        bounded = length.isdecimal() and int(length) <= _READ_TO_END * limit
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            if not scope["body_too_large"]:
                message = await receive()
                received += len(message.get("body", b""))
                if received <= limit:
                    return message
            raise TooLarge(f"The body is larger than {limit} bytes.")

        async def send_closing(message: Message) -> None:
            if message["type"] == "http.response.start" and (
                message["status"] == 408 or (message["status"] == 413 and not bounded)
            ):
                MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        await self._app(scope, receive_counted, send_closing)

    def _limit_of(self, path: str) -> int:
        if (found := self._exact.get(path)) is not None:
            return found
        for beginning, limit in self._others:
            if path.startswith(beginning):
                return limit
        return self._limit
