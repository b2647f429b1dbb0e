"""CORS for the routes below ``/fal`` and for event streams, for the origins of the settings."""

import re
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.fal.addresses import PREFIX

_ALLOWED: Final = re.compile(
    r"authorization|content-type|accept|idempotency-key|last-event-id|traceparent|tracestate|baggage|x-fal-[a-z0-9-]+"
)
_SHARED: Final = re.compile(rf"{PREFIX}/|/v1/generations/[^/]+/events\Z")
_METHODS: Final = "GET, POST, PUT, DELETE, OPTIONS"
_EXPOSED: Final = (
    "x-fal-request-id, x-fal-request-timeout-type, x-fal-billable-units, x-fal-error-type, x-fal-ignored-fields, "
    "retry-after"
)
_HOUR: Final = "3600"


class Cors:
    """Outside of all layers that answer: a preflight has no key, and errors need CORS headers as well."""

    def __init__(self, app: ASGIApp, *, origins: tuple[str, ...]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _SHARED.match(scope["path"]):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        allowed = bool(origin) and ("*" in self._origins or origin in self._origins)
        if allowed and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _preflight(origin, headers.get("access-control-request-headers", ""), send)
            return

        async def shared(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.append("vary", "origin")
                if allowed:
                    answer["access-control-allow-origin"] = origin
                    answer["access-control-expose-headers"] = _EXPOSED
            await send(message)

        await self._app(scope, receive, shared)


async def _preflight(origin: str, asked: str, send: Send) -> None:
    names = [name for part in asked.lower().split(",") if _ALLOWED.fullmatch(name := part.strip())]
    headers = {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": _METHODS,
        "access-control-allow-headers": ", ".join(names),
        "access-control-max-age": _HOUR,
        "vary": "origin",
    }
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 204, "headers": raw})
    await send({"type": "http.response.body", "body": b""})
