"""Exception handlers: every error becomes one problem document (below ``/fal``: fal's form), never a stack trace."""

from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.fal import responses as fal_answers
from service.api.http.responses import problem
from service.errors import FieldError, GatewayError, Invalid, Malformed, MethodNotAllowed, NotFound
from service.observability import log

_log: Final = log.get(__name__)


def install(app: FastAPI) -> None:
    app.add_exception_handler(GatewayError, _gateway_error)
    app.add_exception_handler(HTTPException, _routing_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(ClientDisconnect, _disconnected)


def _error_response(error: GatewayError, request: Request) -> Response:
    """Return the error in the form of the surface: fal's below ``/fal``, otherwise a problem document."""
    return fal_answers.refusal(error, request) if fal_answers.speaks_fal(request) else problem(error, request)


async def _gateway_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)  # noqa: S101  (Starlette's handler type is wider than what it passes)
    return _error_response(error, request)


async def _routing_error(request: Request, error: Exception) -> Response:
    """Handle Starlette's 404 (no route) and 405 (other method)."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    if status != 405:
        return _error_response(NotFound("There is no such route."), request)
    allowed = ", ".join(_allowed_methods(request))
    answer = _error_response(MethodNotAllowed(f"{request.method} is not allowed here; allowed: {allowed}."), request)
    answer.headers["allow"] = allowed
    return answer


def _allowed_methods(request: Request) -> list[str]:
    """Return the methods of all routes of the matched path. Starlette names those of the first route only."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    matched = next((route.path for route in routes if route.matches(request.scope)[0] is not Match.NONE), None)
    return sorted({method for route in routes if route.path == matched for method in route.methods or ()})


async def _validation_error(request: Request, error: Exception) -> Response:
    """Handle faults of query parameters and headers that FastAPI validated."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    faults = (
        FieldError("/" + "/".join(map(str, fault["loc"])), fault["msg"], fault["type"]) for fault in error.errors()
    )
    return _error_response(Invalid(*faults), request)


async def _disconnected(request: Request, _: Exception) -> Response:
    """Handle a client that disconnected before its body was complete. Only the log and the metrics see the response."""
    return _error_response(Malformed("The body ended early."), request)


class UnhandledErrorMiddleware:
    """Respond 500 to unexpected exceptions. It is the innermost middleware, so that the others add their headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def send_noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except Exception as error:
            if scope["type"] == "http":
                answer = _unhandled(Request(scope), error)
                if not has_begun:
                    await answer(scope, receive, send)
            raise  # the server logs it, and closes the connection if the response has has_begun


def _unhandled(request: Request, error: Exception) -> Response:
    _log.error(
        "unhandled error",
        route=getattr(request.scope.get("route"), "path", "unmatched"),  # a path may hold an end user's name
        request_id=request.scope.get("request_id"),
        tenant=request.scope.get("tenant"),
        exc_info=error,
    )
    return _error_response(GatewayError("Something went wrong here; the request id finds it in our logs."), request)
