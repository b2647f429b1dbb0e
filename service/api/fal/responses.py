"""Responses in fal's form: its headers, and errors as ``{"detail": ...}``. Never 409, which fal's clients retry."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request, Response
from pydantic_core import to_json

from service.api.http.responses import error_headers, json_response
from service.errors import FieldError, GatewayError, IdempotencyMismatch, Invalid, NotFound

JSON: Final = "application/json"
REQUEST_ID: Final = "x-fal-request-id"
_CHALLENGE: Final = 'Key realm="seedance-gateway", Bearer realm="seedance-gateway"'
NOT_FOUND: Final = b'{"status":"NOT_FOUND"}'


class UnknownRequest(NotFound):
    """No request has this id, or it belongs to another tenant."""


def answer(
    content: Any, generation_id: str, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return json_response(content, status=status, headers={REQUEST_ID: generation_id, **(headers or {})})


def refusal(error: GatewayError, request: Request) -> Response:
    headers = {REQUEST_ID: request.scope.get("request_id", ""), **error_headers(error, _CHALLENGE)}
    if isinstance(error, UnknownRequest):
        return Response(NOT_FOUND, 404, headers=headers, media_type=JSON)
    body: dict[str, Any] = {"detail": _detail(error)}
    if isinstance(body["detail"], str):
        body["error_type"] = headers["x-fal-error-type"] = error.code
    return Response(to_json(body), 400 if error.status == 409 else error.status, headers=headers, media_type=JSON)


def _detail(error: GatewayError) -> Any:
    if isinstance(error, IdempotencyMismatch):
        return [{"loc": ["header", "idempotency-key"], "msg": error.detail, "type": error.code}]
    if isinstance(error, Invalid):
        return [{"loc": _location(fault), "msg": fault.detail, "type": fault.type} for fault in error.errors]
    return error.detail


def _location(fault: FieldError) -> list[str]:
    """Convert a JSON pointer to fal's form, which begins with the part of the request."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in fault.pointer.split("/")[1:]]
    return steps if steps and steps[0] in ("header", "query") else ["body", *steps]
