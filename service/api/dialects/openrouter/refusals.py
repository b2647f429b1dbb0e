"""Errors in OpenRouter's form: ``{"error": {"code", "message", "metadata"}}``. ``code`` is the HTTP status."""

from collections.abc import Mapping
from typing import Any, Final, NotRequired

from fastapi import Request, Response
from typing_extensions import TypedDict

from service.api.dialects.refusals import explain
from service.api.http.responses import BEARER, error_headers, json_response
from service.domain.described import described
from service.errors import GatewayError

#: OpenRouter refuses wrong fields with 400: its SDK has an error class for that, and none for 422.
_STATUSES: Final[Mapping[int, int]] = {422: 400}


@described
class OpenRouterErrorMetadata(TypedDict):
    """What the error is about. A refused budget also has ``scope``, ``limit``, ``available`` and ``estimated``."""

    error_type: str
    """The gateway's code of the error, as on `/v1`."""
    retryable: bool
    """Whether the same request may succeed later."""
    request_id: str
    """Id of the request, which finds it in the gateway's logs."""
    param: NotRequired[str]
    """The member of the body that is wrong, with dots between its parts."""


@described
class OpenRouterFault(TypedDict):
    code: int
    """The HTTP status."""
    message: str
    """One sentence for people."""
    metadata: OpenRouterErrorMetadata
    """What the error is about."""


@described
class OpenRouterError(TypedDict):
    error: OpenRouterFault
    """The error."""


def refusal(error: GatewayError, request: Request) -> Response:
    found = explain(error, request)
    status = _STATUSES.get(found.status, found.status)
    metadata: dict[str, Any] = {
        "error_type": found.code,
        "retryable": error.retryable,
        "request_id": request.scope.get("request_id", ""),
        **({} if found.param is None else {"param": found.param}),
        **error.extra,
    }
    body = {"error": {"code": status, "message": found.message, "metadata": metadata}}
    return json_response(body, status=status, headers=error_headers(error, BEARER))
