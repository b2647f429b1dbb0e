"""Hot routes: documented by FastAPI, called without its middleware, routing, dependency solving and exit stacks.

These take half of the time of a read. ``DirectRoutes`` calls hot endpoints; all other requests, and ``HEAD``, pass
through the other layers to FastAPI.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.http.compression import SMALLEST, Compression
from service.api.http.error_handlers import respond_to_error
from service.api.http.methods import is_head, is_stream

Endpoint = Callable[[Request], Awaitable[Response]]


class RawRoute(APIRoute):
    """A route whose endpoint takes the request only, and reads everything from it."""

    def __init__(self, path: str, endpoint: Endpoint, **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.is_stream = is_stream(self)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            self.refuse_head_of_stream(scope)
            response = await endpoint(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = app

    def refuse_head_of_stream(self, scope: Scope) -> None:
        if self.is_stream and is_head(scope):
            raise HTTPException(405)


class QueryRoute(APIRoute):
    """A route whose endpoint takes the request, the parameters of its path as text, and query parameters with defaults.

    FastAPI validates the parameters of a query string. Without a query string the endpoint is called directly.
    """


class DirectRoutes:
    """Calls the endpoint of a raw route, and of a query route if there is no query string, and answers its errors."""

    def __init__(self, routes: Iterable[BaseRoute], others: ASGIApp) -> None:
        self._others = others
        self._routes: defaultdict[str, list[RawRoute | QueryRoute]] = defaultdict(list)
        for route in routes:
            if isinstance(route, RawRoute | QueryRoute):
                for method in route.methods or ():
                    self._routes[method].append(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self.find(scope) if scope["type"] == "http" else None
        if found is None:
            await self._others(scope, receive, send)
            return
        route, parameters = found
        scope["route"], scope["path_params"] = route, parameters
        try:
            read = {} if isinstance(route, RawRoute) else parameters
            response: Response = await route.endpoint(Request(scope, receive, send), **read)
            is_large = scope["method"] == "GET" and len(getattr(response, "body", b"")) >= SMALLEST
            await (Compression(response) if is_large else response)(scope, receive, send)
        except Exception as error:
            if not await respond_to_error(error, scope, receive, send):
                raise

    def find(self, scope: Scope) -> tuple[RawRoute | QueryRoute, dict[str, str]] | None:
        """Return the hot route of a request and the parameters of its path; None: FastAPI answers it."""
        path, has_query = scope["path"], bool(scope["query_string"])
        for route in self._routes.get(scope["method"], ()):
            if match := route.path_regex.match(path):
                return None if has_query and isinstance(route, QueryRoute) else (route, match.groupdict())
        return None
