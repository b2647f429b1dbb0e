"""The path of ``GATEWAY_PUBLIC_URL``, like ``/video``, in front of every route and of every link.

A proxy may remove it from a request or leave it: both requests reach the same route.
"""

import re
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Scope key of the prefix: "" at the root of a host. ASGI's ``root_path`` is not used: Starlette would expect it in
#: ``path``, and the hot routes would have to remove it from each request.
PREFIX: Final = "gateway.prefix"

#: Headers whose value is a path of this gateway if it begins with one slash, and ``Link``, which quotes such paths.
_LINKS: Final = frozenset({b"location", b"content-location", b"link"})
_OWN_PATH: Final = re.compile(rb"(?:\A|<)(?=/(?!/))")


class PathPrefix:
    """Remove the prefix from the path of a request, and add it to the paths in the headers of the response."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix
        self._raw = prefix.encode()
        self._inner, self._raw_inner = f"{prefix}/", f"{prefix}/".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_prefix(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", ())
                if any(name in _LINKS for name, _ in headers):
                    message["headers"] = [(name, self._link(name, value)) for name, value in headers]
            await send(message)

        self._enter(scope)
        await self._app(scope, receive, send_with_prefix)

    def _enter(self, scope: Scope) -> None:
        """Remove the prefix from the path of a request, in both forms."""
        scope[PREFIX] = self._prefix
        path, raw = scope["path"], scope.get("raw_path") or scope["path"].encode()
        if path == self._prefix:
            scope["path"], scope["raw_path"] = "/", b"/"
        # A prefix with encoded letters is another path: proxies compare what was sent.
        elif path.startswith(self._inner) and raw.startswith(self._raw_inner):
            scope["path"], scope["raw_path"] = path[len(self._prefix) :], raw[len(self._raw) :]

    def _link(self, name: bytes, value: bytes) -> bytes:
        return _OWN_PATH.sub(rb"\g<0>" + self._raw, value) if name in _LINKS else value
