"""Refusals in the form that the error classes of ``@ai-sdk/gateway`` parse. ``type`` selects the class."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from fastapi import Request, Response
from typing_extensions import TypedDict

from service.api.dialects.models import UnknownModel
from service.api.dialects.refusals import explain
from service.api.dialects.vercel import MODEL_HEADER
from service.api.http.responses import BEARER, error_headers, json_response
from service.domain.described import described
from service.errors import (
    Forbidden,
    GatewayError,
    NotFound,
    OverBudget,
    TooMany,
    Unauthenticated,
)

_LONGEST_NAME: Final = 100

ErrorType = Literal[
    "authentication_error",
    "forbidden",
    "internal_server_error",
    "invalid_request_error",
    "model_not_found",
    "not_found",
    "rate_limit_exceeded",
]


@described
class VercelFault(TypedDict):
    message: str
    """One sentence for people."""
    type: ErrorType
    """Selects the error class of the AI SDK. A refused budget is `forbidden` with status 402."""
    param: dict[str, Any] | None
    """`ruleId` of `forbidden`: the gateway's code. `modelId` of `model_not_found`. Otherwise `null`."""
    code: str
    """The gateway's code of the error, as on `/v1`."""


@described
class VercelError(TypedDict):
    error: VercelFault
    """The error."""


def refusal(error: GatewayError, request: Request) -> Response:
    found = explain(error, request)
    fault: VercelFault = {
        "message": found.message,
        "type": type_of(error),
        "param": _param(error, request),
        "code": found.code,
    }
    body: VercelError = {"error": fault}
    return json_response(body, status=found.status, headers=error_headers(error, BEARER))


def type_of(error: GatewayError) -> ErrorType:
    for kind, found in _TYPES.items():
        if isinstance(error, kind):
            return found
    return "internal_server_error" if error.status >= 500 else "invalid_request_error"


def _param(error: GatewayError, request: Request) -> dict[str, Any] | None:
    match error:
        case UnknownModel():
            return {"modelId": request.headers.get(MODEL_HEADER, "")[:_LONGEST_NAME]}
        case Forbidden():
            return {"ruleId": error.code}
        case OverBudget():
            return {"ruleId": error.code, **error.extra}
    return None


#: Subclasses before their bases.
_TYPES: Final[Mapping[type[GatewayError], ErrorType]] = {
    Unauthenticated: "authentication_error",
    OverBudget: "forbidden",
    Forbidden: "forbidden",
    UnknownModel: "model_not_found",
    NotFound: "not_found",
    TooMany: "rate_limit_exceeded",
}
