"""OpenAPI descriptions of the routes below ``/vercel``."""

from typing import Any, Final

from pydantic import TypeAdapter

from service.api.dialects.vercel import MODEL_HEADER
from service.api.dialects.vercel.answers import VercelStarted, VercelStatus
from service.api.dialects.vercel.call import VercelCall, VercelStatusCall
from service.api.dialects.vercel.errors import ErrorType, VercelError
from service.api.schemas import SCHEMA_REFERENCE, body_of, event_stream

_MODEL: Final = {
    "in": "header",
    "name": MODEL_HEADER,
    "required": True,
    "schema": {"type": "string", "examples": ["bytedance/seedance-2.0"]},
    "description": "Id or alias of the model, or the name of a family (`bytedance/seedance-2.0`): then the inputs "
    "decide whether it is text-, image- or reference-to-video.",
}
_IDEMPOTENCY: Final = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "A repeat with the same key and body returns the first generation and creates nothing. Default: "
    "none.",
}
_EXAMPLE: Final = """\
:

data: {"type":"result","videos":[{"type":"url","url":"https://v3b.fal.media/files/b/0a9e/video.mp4",\
"mediaType":"video/mp4"}],"warnings":[],"providerMetadata":{}}

"""

CALL: Final[dict[str, Any]] = {**body_of(VercelCall), "parameters": [_MODEL, _IDEMPOTENCY]}
STATUS_CALL: Final[dict[str, Any]] = {**body_of(VercelStatusCall), "security": [{"apiKey": ["read"]}]}
ERRORS: Final = {
    400: "The body is not valid JSON.",
    401: "The API key is missing, malformed, expired or revoked.",
    402: "A budget does not cover the estimate.",
    403: "The API key lacks the scope, or the tenant may not use the model.",
    404: "The model or the generation does not exist, or belongs to another tenant.",
    408: "The body arrived too slowly.",
    413: "The body is too large.",
    415: "The body is not `application/json`, or has a `Content-Encoding`.",
    422: "A member of the call is wrong.",
    429: "A limit is reached. The AI SDK sends the call again after `Retry-After`.",
    500: "An error of the gateway.",
    503: "Temporarily unavailable, nothing was changed. The AI SDK sends the call again after `Retry-After`.",
}
_RULE: Final = {"ruleId": "budget_exceeded"}
#: ``message``, ``type``, ``code`` and ``param`` of a real occurrence.
_OCCURRENCES: Final[dict[int, tuple[str, ErrorType, str, dict[str, Any] | None]]] = {
    400: ("The body is not valid JSON.", "invalid_request_error", "malformed", None),
    401: ("The API key is unknown, expired or revoked.", "authentication_error", "unauthenticated", None),
    402: ("It may cost 0.708939 USD; 0.420000 USD are left.", "forbidden", "budget_exceeded", _RULE),
    403: ("The API key lacks the scope 'generate'.", "forbidden", "forbidden", {"ruleId": "forbidden"}),
    404: ("There is no such generation.", "not_found", "not_found", None),
    408: ("The body took longer than 60 seconds.", "invalid_request_error", "request_timeout", None),
    413: ("The body is larger than 1048576 bytes.", "invalid_request_error", "too_large", None),
    415: ("Send the body as application/json.", "invalid_request_error", "unsupported_media_type", None),
    422: ("duration: must be 'auto', '4' or '5'", "invalid_request_error", "invalid", None),
    429: ("1000 generations of this tenant are waiting, as many as may.", "rate_limit_exceeded", "queue_full", None),
    500: ("Something went wrong here.", "internal_server_error", "internal", None),
    503: ("Redis does not answer.", "internal_server_error", "store_unavailable", None),
}
ERROR_EXAMPLES: Final = {
    status: {code: {"error": {"message": text, "type": kind, "param": param, "code": code}}}
    for status, (text, kind, code, param) in _OCCURRENCES.items()
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe refusals. Their bodies are described once for all routes."""
    return {status: {"description": ERRORS[status]} for status in statuses}


def error_schema() -> dict[str, Any]:
    """Return the named schemas of errors."""
    schema = TypeAdapter(VercelError).json_schema(ref_template=SCHEMA_REFERENCE)
    return {**schema.pop("$defs"), "VercelError": schema}


STARTED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": VercelStarted, "description": "The generation is stored."}
}
STATUS: Final[dict[int | str, dict[str, Any]]] = {200: {"model": VercelStatus, "description": "The status."}}
RESULT: Final[dict[int | str, dict[str, Any]]] = {
    200: event_stream("Comments, then one event: `result`, or `error` with the status of the error.", _EXAMPLE)
}
