"""Pure ASGI: one pass around every call for its id, its time, its line in the log, and a bound on its body."""

import math
import os
import re
import time
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import log, metrics
from service.errors import TooLarge

_SANE_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: A body up to so many times its limit is read to its end after the answer, so that a sender who writes first and reads
#: then gets to see it. From any other the connection is closed: it may have no end.
_DRAINED: Final = 4
#: Where an endpoint leaves ``async (receive, send)``: an answer it has begun goes on there once the framework's frames,
#: 6 kB of them, are off the stack. For answers that stay open by the thousand.
REST: Final = "gateway.rest"
_QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})


class Frame:
    """``X-Request-Id`` (the caller's, if it is sane) and ``Server-Timing`` on every answer; one log line a call."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = log.get(__name__).bind()  # once: looking up the configuration would double the cost of a line

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = scope["request_id"] = given if _SANE_ID.match(given) else os.urandom(16).hex()
        log.bind(request_id=request_id, tenant=None, generation_id=None)

        async def framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                if (rate := scope.get("rate")) is not None:
                    headers["ratelimit-policy"] = f'"calls";q={rate.per_minute};w=60'
                    headers["ratelimit"] = f'"calls";r={rate.left};t={math.ceil(rate.whole_in.total_seconds())}'
                headers["server-timing"] = f"gw;dur={(time.perf_counter() - begun) * 1000:.2f}"
            await send(message)

        try:
            await self._app(scope, receive, framed)
            if (go_on := scope.pop(REST, None)) is not None:
                await go_on(receive, framed)
        finally:
            self._tell(scope, status, time.perf_counter() - begun)
            log.clear()

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "other"  # a caller may invent any number of them
        metrics.HTTP_SECONDS.labels(method, route, str(status)).observe(seconds)
        if route not in _QUIET:
            self._log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 2))


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
        length = Headers(scope=scope).get("content-length", "")
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
