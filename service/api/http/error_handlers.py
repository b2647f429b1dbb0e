"""Errors as responses: every error becomes one problem document, or has the form of its API, never a stack trace."""

from collections.abc import Callable
from typing import Final

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.dialects.openai import refusals as openai
from service.api.dialects.openrouter import refusals as openrouter
from service.api.dialects.vercel import errors as vercel
from service.api.fal import responses as fal
from service.api.http.methods import allowed_methods, method_of
from service.api.http.middleware import STATUS
from service.api.http.responses import problem
from service.domain.faults import field_errors
from service.errors import GatewayError, Invalid, Malformed, MethodNotAllowed, NotFound
from service.observability import log

_log: Final = log.get(__name__)
#: Forms of errors by the beginning of the path, also if no route matched. All others are problem documents.
_FORMS: Final[tuple[tuple[str, Callable[[GatewayError, Request], Response]], ...]] = (
    ("/fal/", fal.refusal),
    ("/openai/", openai.refusal),
    ("/openrouter/", openrouter.refusal),
    ("/vercel/", vercel.refusal),
)


def _error_response(error: GatewayError, request: Request) -> Response:
    """Return the error in the form of the API that the request is for."""
    path: str = request.scope["path"]
    form = next((form for beginning, form in _FORMS if path.startswith(beginning)), problem)
    return form(error, request)


def _expected(error: Exception, request: Request) -> Response | None:
    """Return the response to an error that a request can cause; None: the error is unexpected."""
    match error:
        case GatewayError():
            return _error_response(error, request)
        case HTTPException():
            return _routing_error(error, request)
        case RequestValidationError():
            return _validation_error(error, request)
        case ClientDisconnect():  # before its body was complete: only the log and the metrics see the response
            return _error_response(Malformed("The body ended early."), request)
    return None


def _routing_error(error: HTTPException, request: Request) -> Response:
    """Handle Starlette's 404 (no route) and 405 (other method). ``OPTIONS`` of a path returns its methods."""
    if error.status_code != 405:
        return _error_response(NotFound("There is no such route."), request)
    allowed = ", ".join(allowed_methods(request.app.routes, request.scope))
    method = method_of(request)
    if method == "OPTIONS":
        return Response(status_code=204, headers={"allow": allowed})
    answer = _error_response(MethodNotAllowed(f"{method} is not allowed here; allowed: {allowed}."), request)
    answer.headers["allow"] = allowed
    return answer


def _validation_error(error: RequestValidationError, request: Request) -> Response:
    """Handle faults of query parameters and headers that FastAPI validated."""
    return _error_response(Invalid(*field_errors(error.errors())), request)


class ErrorMiddleware:
    """Respond to every exception. It replaces the error middleware of Starlette and FastAPI.

    It is inside of the middleware that adds headers, so that error responses have them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            if scope["type"] != "http":
                raise
            if not await respond_to_error(error, scope, receive, send):
                raise


async def respond_to_error(error: Exception, scope: Scope, receive: Receive, send: Send) -> bool:
    """Respond to an exception of a request, unless its response has begun. Return False if it must be raised again."""
    request, has_begun = Request(scope), STATUS in scope
    answer = None if has_begun else _expected(error, request)
    if answer is not None:
        await answer(scope, receive, send)
        error.__traceback__ = None  # requests that share a look-up raise the same exception: it would grow
        return True
    answer = _unhandled(request, error)
    if not has_begun:
        await answer(scope, receive, send)
    return False  # the server logs it, and closes the connection if the response has begun


def _unhandled(request: Request, error: Exception) -> Response:
    _log.error(
        "unhandled error",
        route=getattr(request.scope.get("route"), "path", "unmatched"),  # a path may hold an end user's name
        request_id=request.scope.get("request_id"),
        tenant=request.scope.get("tenant"),
        exc_info=error,
    )
    return _error_response(GatewayError("Something went wrong here; the request id finds it in our logs."), request)
