"""Responses: JSON, and problem documents (RFC 9457)."""

import math
from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request, Response
from pydantic_core import to_json

from service.api.http.path_prefix import PREFIX
from service.domain.callback import without_secret
from service.errors import GatewayError, RangeUnsatisfiable

PROBLEM_JSON: Final = "application/problem+json"
_NO_HEADERS: Final[Mapping[str, str]] = {}
BEARER: Final = 'Bearer realm="seedance-gateway"'


class JsonResponse(Response):
    """A body of JSON. The names of ``headers`` are in lower case; to handle any, as Starlette does, takes longer."""

    def __init__(self, body: bytes, status: int = 200, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        self.status_code, self.body, self.background = status, body, None
        self.raw_headers = [
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"application/json"),
            *((name.encode(), value.encode("latin-1")) for name, value in headers.items()),
        ]


def json_response(content: Any, *, status: int = 200, headers: Mapping[str, str] = _NO_HEADERS) -> Response:
    return JsonResponse(to_json(content), status, headers)


def problem(error: GatewayError, request: Request) -> Response:
    path = request.scope.get(PREFIX, "") + without_secret(request.url.path)
    document = problem_document(error, instance=path, request_id=request.scope.get("request_id", ""))
    return Response(document, error.status, headers=error_headers(error, BEARER), media_type=PROBLEM_JSON)


def problem_document(error: GatewayError, *, instance: str, request_id: str) -> bytes:
    """Return the problem document: the members of RFC 9457, and ``code``, ``request_id``, ``retryable``, ``errors``."""
    document: dict[str, Any] = {
        "type": f"urn:seedance-gateway:error:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": instance,
        "code": error.code,
        "retryable": error.retryable,
        "request_id": request_id,
        **error.extra,
    }
    if error.errors:
        document["errors"] = [{"pointer": e.pointer, "detail": e.detail, "type": e.type} for e in error.errors]
    return to_json(document)


def error_headers(error: GatewayError, challenge: str) -> dict[str, str]:
    """Return the headers of an error. ``challenge``: the schemes of ``Authorization`` that the route accepts."""
    headers = {}
    if error.status == 401:
        headers["www-authenticate"] = challenge
    if error.status == 415:
        headers["accept-encoding"] = "identity"
    if error.retry_after is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after))
    if error.status == 408:
        headers["connection"] = "close"
    if isinstance(error, RangeUnsatisfiable):
        headers["content-range"] = f"bytes */{error.size}"
    return headers
