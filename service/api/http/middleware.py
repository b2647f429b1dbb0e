"""ASGI middleware: request id, timing, rate headers, access log."""

import math
import os
import re
import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.http.access_log import AccessLog
from service.api.http.bodies import release_memory
from service.api.http.request_headers import header
from service.observability import log
from service.store.tenants.rates import RateLimitResult

_VALID_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")
#: Scope key for a continuation ``async (receive, send)``. Event streams run it after the framework has returned, which
#: saves 6 kB of stack frames per open stream.
REST: Final = "gateway.rest"
#: Scope key: the status of the response, once it has begun.
STATUS: Final = "gateway.status"
#: Scope key: the path is as it was sent, because a slash in it is encoded. An encoded slash separates no segments: a
#: decoded one would make another route of ``/v1/generations/a%2Fcancel`` than a proxy in front of the gateway sees.
RAW_PATH: Final = "gateway.raw_path"
_ENCODED_SLASH: Final = re.compile(rb"%2[fF]")
#: On every response. What has no rule of its own for caches may hold a key, a secret or a prompt.
_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
_NO_STORE: Final = (b"cache-control", b"no-store")
#: What the access log reads of the scope after a continuation. Dropping the rest saves another 2 kB per stream.
_LOGGED: Final = ("method", "route", "client", STATUS)


class RequestContextMiddleware:
    """Route by the path as it was sent, add the headers of every response, and log every request.

    ``X-Request-Id`` is the caller's if it is valid.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._calls = AccessLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_at = time.perf_counter()
        given = header(scope, b"x-request-id")
        request_id = given if _VALID_ID.match(given) else os.urandom(16).hex()
        inner: Scope = {**scope, "request_id": request_id}
        if b"%2" in (raw_path := scope.get("raw_path") or b"") and _ENCODED_SLASH.search(raw_path):
            inner["path"], inner[RAW_PATH] = raw_path.decode("ascii", "replace"), True
        log.begin(request_id=request_id, tenant=None, generation_id=None)  # a call sent ahead begins within another

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                inner[STATUS] = message["status"]
                timing = f"gw;dur={(time.perf_counter() - started_at) * 1000:.2f}"
                headers = message.get("headers", ())
                message["headers"] = [
                    *headers,
                    _NOSNIFF,
                    *(() if b"cache-control" in dict(headers) else (_NO_STORE,)),
                    (b"x-request-id", request_id.encode()),
                    *(_rate_headers(rate) if (rate := inner.get("rate")) is not None else ()),
                    (b"server-timing", timing.encode()),
                ]
            await send(message)

        try:
            await self._app(inner, receive, send_with_headers)
            if (continuation := inner.pop(REST, None)) is not None:
                inner = {name: inner.get(name) for name in _LOGGED}
                await continuation(receive, send_with_headers)
        finally:
            release_memory(inner)
            self._calls.ended(inner, inner.get(STATUS, 500), time.perf_counter() - started_at)
            log.clear()


def _rate_headers(rate: RateLimitResult) -> tuple[tuple[bytes, bytes], ...]:
    return (
        (b"ratelimit-policy", f'"{rate.bucket}";q={rate.per_minute};w=60'.encode()),
        (b"ratelimit", f'"{rate.bucket}";r={rate.left};t={math.ceil(rate.whole_in.total_seconds())}'.encode()),
    )
