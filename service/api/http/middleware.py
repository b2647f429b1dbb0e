"""Pure ASGI: one pass around every call for its id, its time, its line in the log, and a bound on its body."""

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

_SANE_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")
#: A body up to so many times its limit is read to its end after the answer, so that a sender who writes first and reads
#: then gets to see it. From any other the connection is closed: it may have no end.
_DRAINED: Final = 4
#: Where an endpoint leaves ``async (receive, send)``: an answer it has begun goes on there once the framework's frames,
#: 6 kB of them, are off the stack. For answers that stay open by the thousand.
REST: Final = "gateway.rest"
#: What is still read of its scope then. The rest is the framework's: another 2 kB of exit stacks and wrapped channels.
_KEPT: Final = ("method", "route")


class RequestContextMiddleware:
    """``X-Request-Id`` (the caller's, if it is sane) and ``Server-Timing`` on every answer; one log line a call."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._calls = AccessLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500
        given = header(scope, b"x-request-id")
        request_id = given if _SANE_ID.match(given) else os.urandom(16).hex()
        inner: Scope = {**scope, "request_id": request_id}
        log.begin(request_id=request_id, tenant=None, generation_id=None)  # a call sent ahead begins within another

        async def framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                took = f"gw;dur={(time.perf_counter() - begun) * 1000:.2f}"
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                    *_rate_headers(inner),
                    (b"server-timing", took.encode()),
                ]
            await send(message)

        try:
            await self._app(inner, receive, framed)
            if (go_on := inner.pop(REST, None)) is not None:
                inner = {name: inner[name] for name in _KEPT}
                await go_on(receive, framed)
        finally:
            self._calls.ended(inner, status, time.perf_counter() - begun)
            log.clear()


def header(scope: Scope, name: bytes) -> str:
    """Of the first by this lower-case name; "" where there is none. Each layer that looks asks for one alone."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return ""


def _rate_headers(scope: Scope) -> Iterator[tuple[bytes, bytes]]:
    rate = scope.get("rate")
    if rate is not None:
        yield b"ratelimit-policy", f'"calls";q={rate.per_minute};w=60'.encode()
        yield b"ratelimit", f'"calls";r={rate.left};t={math.ceil(rate.whole_in.total_seconds())}'.encode()


class BodyLimit:
    """413 beyond the limit, by the declared length at once, else by counting; ``others`` have one of their own."""

    def __init__(self, app: ASGIApp, *, limit: int, exact: Mapping[str, int], others: Mapping[str, int]) -> None:
        self._app = app
        self._limit = limit
        self._exact = exact
        """By the whole path."""
        self._others = tuple(others.items())
        """By what the path begins with."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit_of(scope["path"])
        scope["body_limit"] = limit
        length = header(scope, b"content-length").lstrip("0")  # Python reads no number of more than 4,300 digits
        scope["body_too_large"] = length.isdecimal() and int(length) > limit
        bounded = length.isdecimal() and int(length) <= _DRAINED * limit
        received = 0

        async def counted() -> Message:
            nonlocal received
            if not scope["body_too_large"]:
                message = await receive()
                received += len(message.get("body", b""))
                if received <= limit:
                    return message
            raise TooLarge(f"The body is larger than {limit} bytes.")

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start" and (
                message["status"] == 408 or (message["status"] == 413 and not bounded)
            ):
                MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        await self._app(scope, counted, closing)

    def _limit_of(self, path: str) -> int:
        if (found := self._exact.get(path)) is not None:
            return found
        for beginning, limit in self._others:
            if path.startswith(beginning):
                return limit
        return self._limit
