"""OpenAPI descriptions of the routes below ``/fal``: responses, errors, parameters."""

from typing import Any, Final

from pydantic import TypeAdapter

from service.api import example_costs
from service.api.fal.schemas import (
    FalCancelled,
    FalCdnFile,
    FalCdnToken,
    FalError,
    FalNothing,
    FalOutput,
    FalStatus,
    FalSubmitted,
    FalUpload,
)
from service.api.schemas import SCHEMA_REFERENCE, body_of, event_stream
from service.domain.request import VideoInput

TARGET_URL: Final = "x-fal-target-url"
#: Errors of requests and of jobs, by status.
ERRORS: Final = {
    400: "The request is malformed, has not ended, or can no longer be canceled.",
    401: "The API key is missing, malformed, expired or revoked.",
    402: "A budget does not cover the estimate.",
    403: "The API key lacks the scope, or the tenant is suspended.",
    404: "It does not exist, or belongs to another tenant.",
    405: "The target does not have this method.",
    408: "The body arrived too slowly.",
    413: "The body is too large.",
    415: "The route does not accept the content type, or the body has a `Content-Encoding`.",
    422: "A field is wrong, or the model refused the input.",
    429: "A limit is reached; send the request again after `Retry-After`.",
    499: "The request was canceled.",
    500: "The job failed, or the gateway has an error.",
    503: "Temporarily unavailable, nothing was changed; send the request again after `Retry-After`.",
    504: "It did not begin or end in time.",
}
_FAULT: Final = {"loc": ["body", "image_url"], "msg": "must be an absolute http or https URL", "type": "url_scheme"}
#: ``error_type`` and ``detail`` of a real occurrence.
_OCCURRENCES: Final = {
    401: ("unauthenticated", "The API key is unknown, expired or revoked."),
    402: ("budget_exceeded", f"It may cost {example_costs.SHORT} USD; the budget tenant_month has 0.420000 USD left."),
    403: ("forbidden", "The API key lacks the scope 'generate'."),
    405: ("method_not_allowed", "DELETE is not allowed here; allowed: GET."),
    408: ("request_timeout", "The body took longer than 60 seconds."),
    413: ("too_large", "The body is larger than 1048576 bytes."),
    415: ("unsupported_media_type", "Send the body as application/json."),
    429: ("queue_full", "1000 generations of this tenant are waiting, as many as may."),
    499: ("client_cancelled", "The request was canceled."),
    500: ("internal_error", "Something went wrong here; the request id finds it in our logs."),
    503: ("store_unavailable", "Redis does not answer."),
    504: ("request_timeout", "The request did not begin within 30 seconds."),
}
ERROR_EXAMPLES: Final[dict[int, dict[str, Any]]] = {
    **{status: {kind: {"detail": text, "error_type": kind}} for status, (kind, text) in _OCCURRENCES.items()},
    400: {
        "running": {"detail": "Request is still in progress"},
        "completed": {"status": "ALREADY_COMPLETED"},
        "malformed": {"detail": "The body is not valid JSON.", "error_type": "malformed"},
    },
    404: {
        "request": {"status": "NOT_FOUND"},
        "model": {"detail": "This gateway serves one model and nothing else.", "error_type": "not_found"},
    },
    422: {"fault": {"detail": [_FAULT]}},
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the responses of errors. Their schema is described once for all routes."""
    return {status: {"description": ERRORS[status]} for status in statuses}


def error_schema() -> dict[str, Any]:
    """Return the schemas of an error by their names."""
    schema = TypeAdapter(FalError).json_schema(ref_template=SCHEMA_REFERENCE)
    return {**schema.pop("$defs"), "FalError": schema}


def _parameter(where: str, name: str, description: str, kind: str = "string", *, required: bool = False) -> Any:
    schema = {"type": kind}
    return {"in": where, "name": name, "description": description, "schema": schema, "required": required}


SUBMITTED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": FalSubmitted, "description": "Accepted. Poll `status_url`, or wait for `fal_webhook`."}
}
STATUS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": FalStatus, "description": "The request has ended."},
    202: {"model": FalStatus, "description": "The request has not ended."},
}
RESULT: Final[dict[int | str, dict[str, Any]]] = {200: {"model": FalOutput, "description": "The output of the model."}}
CANCELED: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": FalCancelled, "description": "Canceled, or a cancel was requested from fal."}
}
CDN_TOKEN: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": FalCdnToken, "description": "The token of uploads."}
}
CDN_FILE: Final[dict[int | str, dict[str, Any]]] = {200: {"model": FalCdnFile, "description": "The file is stored."}}
INITIATED: Final[dict[int | str, dict[str, Any]]] = {200: {"model": FalUpload}}
UPLOADED: Final[dict[int | str, dict[str, Any]]] = {200: {"model": FalNothing, "description": "The file is stored."}}
_OBJECT: Final = {
    "application/json": {
        "schema": {"type": "object"},
        "example": {"video": {"url": "https://v3b.fal.media/files/b/0a9e/video.mp4"}, "seed": 7},
    }
}
_STREAM: Final = event_stream("", 'data: {"status":"IN_QUEUE"}\n\n')["content"]
#: Responses of the target, passed on unchanged.
PROXIED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The response of the target.", "content": {**_OBJECT, **_STREAM}},
    202: {"description": "The response of the target.", "content": _OBJECT},
    **answers(*ERRORS),
}


def events(example: str) -> dict[int | str, dict[str, Any]]:
    """Return the response of a stream. ``example``: the data of one event."""
    return {200: event_stream("Server-sent events.", f"data: {example}\n\n")}


ENDPOINT: Final = _parameter("path", "endpoint", "Id of the model, `owner/app/path`.", required=True)
REQUEST: Final = {
    "parameters": [
        _parameter("path", "endpoint", "Id of the model, or `owner/app` only.", required=True),
        _parameter("path", "request_id", "Id of the request, from the response of the submit.", required=True),
    ]
}
ORDER: Final[dict[str, Any]] = {
    **body_of(VideoInput),
    "parameters": [
        _parameter("query", "fal_webhook", "URL that receives the end of the request. Default: none."),
        _parameter(
            "query",
            "fal_max_queue_length",
            "Refuse with 429 if more requests of your tenant are queued. Default: no limit of your own.",
            "integer",
        ),
        _parameter(
            "header",
            "X-Fal-Request-Timeout",
            "Seconds within which the request must begin, above 0.1. Default: the deployment's setting.",
            "number",
        ),
        _parameter("header", "X-Fal-Queue-Priority", "`normal` (default) or `low`: the order within your tenant."),
        _parameter(
            "header",
            "Idempotency-Key",
            "A repeat with the same key and body returns the first request and creates nothing. Default: none.",
        ),
    ],
}
PROXY: Final = {"parameters": [_parameter("header", TARGET_URL, "URL of fal that the client means.", required=True)]}
BYTES: Final = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
TENANT_ID: Final = _parameter("path", "tenant_id", "The tenant, as in `X-Fal-Webhook-User-Id`.", required=True)
TICKET: Final = {
    "parameters": [
        _parameter(
            "query",
            "ticket",
            "Ticket from the upload URL. It is valid for 15 minutes and for one upload, while the key that "
            "requested it is valid.",
            required=True,
        )
    ],
    **BYTES,
}
