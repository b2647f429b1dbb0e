"""Errors in OpenAI's form: ``{"error": {"message", "type", "param", "code"}}``. The SDK raises by the status."""

from typing import Final

from fastapi import Request, Response

from service.api.dialects.refusals import explain
from service.api.http.responses import BEARER, error_headers, json_response
from service.errors import GatewayError

#: Types of OpenAI by status. Every other status of a client is ``invalid_request_error``.
_TYPES: Final = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}
_INVALID: Final = "invalid_request_error"
_SERVER: Final = "server_error"
#: OpenAI refuses wrong fields with 400; programs handle the SDK's ``BadRequestError``.
_STATUSES: Final = {422: 400}


def refusal(error: GatewayError, request: Request) -> Response:
    found = explain(error, request)
    status = _STATUSES.get(found.status, found.status)
    kind = _SERVER if status >= 500 else _TYPES.get(status, _INVALID)
    body = {"error": {"message": found.message, "type": kind, "param": found.param, "code": found.code}}
    return json_response(body, status=status, headers=error_headers(error, BEARER))
