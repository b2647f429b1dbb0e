"""Methods of a path: ``HEAD`` as a GET without its body, and the methods in ``Allow``."""

from collections.abc import Iterable
from typing import Final

from fastapi import Request
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

EVENT_STREAM: Final = "text/event-stream"
_HEAD: Final = "gateway.head"


class HeadMiddleware:
    """Answer HEAD with the status and the headers of GET. Streams refuse HEAD: their headers say nothing about them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
            elif not message.get("more_body", False):
                await send({"type": "http.response.body"})

        scope["method"], scope[_HEAD] = "GET", True
        scope["headers"] = [line for line in scope["headers"] if line[0] != b"range"]  # RFC 9110, 14.2: for GET only
        try:
            await self._app(scope, receive, send_head)
        finally:
            scope["method"] = "HEAD"  # for the log


def is_head(scope: Scope) -> bool:
    return _HEAD in scope


def method_of(request: Request) -> str:
    """Return the method that the client sent."""
    return "HEAD" if is_head(request.scope) else request.method


def allowed_methods(routes: Iterable[BaseRoute], scope: Scope) -> list[str]:
    """Return the methods of the path, as the OpenAPI document has them. Starlette names those of one route only."""
    known = [route for route in routes if isinstance(route, Route)]
    path = next((route.path for route in known if route.matches(scope)[0] is not Match.NONE), None)
    matching = [route for route in known if route.path == path]
    methods = {method for route in matching for method in route.methods or ()}
    if any("GET" in (route.methods or ()) and not is_stream(route) for route in matching):
        methods.add("HEAD")
    return sorted(methods | {"OPTIONS"})


def is_stream(route: BaseRoute) -> bool:
    """Return whether the route's own document says that it answers with events."""
    return EVENT_STREAM in getattr(route, "responses", {}).get(200, {}).get("content", {})
