"""What a caller sees when something raised: one problem document, never a stack trace."""

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
    app.add_exception_handler(GatewayError, _known)
    app.add_exception_handler(HTTPException, _routing)
    app.add_exception_handler(RequestValidationError, _parameters)
    app.add_exception_handler(ClientDisconnect, _gone)


def _told(error: GatewayError, request: Request) -> Response:
    """In the words that this caller expects."""
    return fal_answers.refusal(error, request) if fal_answers.speaks_fal(request) else problem(error, request)


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)  # noqa: S101  (Starlette's handler type is wider than what it passes)
    return _told(error, request)


async def _routing(request: Request, error: Exception) -> Response:
    """No such route, or another method: Starlette's own refusals."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    if status != 405:
        return _told(NotFound("There is no such route."), request)
    allowed = ", ".join(_allowed(request))
    answer = _told(MethodNotAllowed(f"{request.method} is not allowed here; allowed: {allowed}."), request)
    answer.headers["allow"] = allowed
    return answer


def _allowed(request: Request) -> list[str]:
    """Methods of every route of the path that was matched: Starlette names those of the first alone."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    matched = next((route.path for route in routes if route.matches(request.scope)[0] is not Match.NONE), None)
    return sorted({method for route in routes if route.path == matched for method in route.methods or ()})


async def _parameters(request: Request, error: Exception) -> Response:
    """Query parameters and headers that FastAPI checked."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    faults = (
        FieldError("/" + "/".join(map(str, fault["loc"])), fault["msg"], fault["type"]) for fault in error.errors()
    )
    return _told(Invalid(*faults), request)


async def _gone(request: Request, _: Exception) -> Response:
    """For the log and the metrics alone: the caller left before its body had come."""
    return _told(Malformed("The body ended early."), request)


class UnhandledErrorMiddleware:
    """500 for what nobody expected. The innermost middleware, so that the answer gets what the others add to any."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:
            if scope["type"] == "http":
                answer = _unknown(Request(scope), error)
                if not begun:
                    await answer(scope, receive, send)
            raise  # servers note it, and close the connection of an answer that breaks off


def _unknown(request: Request, error: Exception) -> Response:
    _log.error(
        "unhandled error",
        route=getattr(request.scope.get("route"), "path", "unmatched"),  # a path may hold an end user's name
        request_id=request.scope.get("request_id"),
        tenant=request.scope.get("tenant"),
        exc_info=error,
    )
    return _told(GatewayError("Something went wrong here; the request id finds it in our logs."), request)
