"""What a caller sees when something raised: one problem document, never a stack trace."""

from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from service import log
from service.api.answers import problem
from service.api.fal import answers as fal_answers
from service.domain.callback import without_secret
from service.errors import FieldError, GatewayError, Invalid, MethodNotAllowed, NotFound

_log: Final = log.get(__name__)


def install(app: FastAPI) -> None:
    app.add_exception_handler(GatewayError, _known)
    app.add_exception_handler(HTTPException, _routing)
    app.add_exception_handler(RequestValidationError, _parameters)
    app.add_exception_handler(Exception, _unknown)


def _told(error: GatewayError, request: Request) -> Response:
    """In the words that this caller expects."""
    return fal_answers.refusal(error, request) if fal_answers.speaks_fal(request) else problem(error, request)


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)  # noqa: S101  (Starlette's handler type is wider than what it passes)
    return _told(error, request)


async def _routing(request: Request, error: Exception) -> Response:
    """No such route, or another method: Starlette's own refusals."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    known = MethodNotAllowed("This route has no such method.") if status == 405 else NotFound("There is no such route.")
    answer = _told(known, request)
    if isinstance(error, HTTPException) and error.headers:
        answer.headers.update(error.headers)
    return answer


async def _parameters(request: Request, error: Exception) -> Response:
    """Query parameters and headers that FastAPI checked."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    faults = (
        FieldError("/" + "/".join(map(str, fault["loc"])), fault["msg"], fault["type"]) for fault in error.errors()
    )
    return _told(Invalid(*faults), request)


async def _unknown(request: Request, error: Exception) -> Response:
    _log.error(
        "unhandled error",
        path=without_secret(request.url.path),
        request_id=request.scope.get("request_id"),
        tenant=request.scope.get("tenant"),
        exc_info=error,
    )
    answer = _told(GatewayError("Something went wrong here; the request id finds it in our logs."), request)
    answer.headers["x-request-id"] = request.scope.get("request_id", "")  # made outside of our own middleware
    return answer
