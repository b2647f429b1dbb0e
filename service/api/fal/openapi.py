"""OpenAPI descriptions of the routes below ``/fal``: fal's schemas, errors, parameters."""

from typing import Any, Final, Literal, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from service.api.schemas import SCHEMA_REFERENCE, body_of, stream_event
from service.domain.request import VideoInput

TARGET_URL: Final = "x-fal-target-url"


class FalFault(TypedDict):
    loc: list[str | int]
    msg: str
    type: str


class FalError(TypedDict):
    """``detail``: text, or one fault each. ``status`` alone where there is no such request, or nothing to cancel."""

    detail: NotRequired[str | list[FalFault] | dict[str, Any]]
    error_type: NotRequired[str]
    status: NotRequired[Literal["NOT_FOUND", "ALREADY_COMPLETED"]]


class FalSubmitted(TypedDict):
    status: Literal["IN_QUEUE"]
    request_id: str
    response_url: str
    status_url: str
    cancel_url: str
    queue_position: int


class FalLogLine(TypedDict):
    message: str
    level: str
    source: str
    timestamp: str


class FalMetrics(TypedDict):
    inference_time: NotRequired[float]


class FalStatus(TypedDict):
    """``error`` and ``error_type`` where it has not succeeded: fal has no state for that."""

    status: Literal["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    request_id: str
    response_url: str
    status_url: str
    cancel_url: str
    logs: list[FalLogLine] | None
    queue_position: NotRequired[int]
    metrics: NotRequired[FalMetrics]
    error: NotRequired[str]
    error_type: NotRequired[str]


class FalFile(TypedDict):
    url: str
    content_type: NotRequired[str]
    file_name: NotRequired[str]
    file_size: NotRequired[int]


class FalOutput(TypedDict):
    video: FalFile
    seed: int | None


class FalCancelled(TypedDict):
    status: Literal["CANCELLATION_REQUESTED"]


class FalUpload(TypedDict):
    """Put the bytes to ``upload_url``, use ``file_url``."""

    upload_url: str
    file_url: str


class FalKey(TypedDict):
    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    use: Literal["sig"]
    alg: Literal["EdDSA"]


class FalKeySet(TypedDict):
    keys: list[FalKey]


class FalNothing(TypedDict):
    """An empty object."""


#: Refusals and results that are none, by status.
ERRORS: Final = {
    400: "The request is malformed, has not ended, or can no longer be canceled.",
    401: "The API key is missing, malformed, expired or revoked.",
    402: "A budget does not cover the estimate.",
    403: "The API key lacks the scope, or the tenant is suspended.",
    404: "It does not exist, or belongs to another tenant.",
    405: "The target does not have this method.",
    408: "The body arrived too slowly.",
    413: "The body is too large.",
    415: "Not a supported image.",
    422: "A field is wrong, or the model refused the input.",
    429: "A limit is reached; send the request again after `Retry-After`.",
    499: "The request was canceled.",
    500: "The job failed, or the gateway has an error.",
    503: "Temporarily unavailable, nothing was changed; send the request again after `Retry-After`.",
    504: "It did not begin or end in time.",
}
_FAULT: Final = {"loc": ["body", "image_url"], "msg": "must be an absolute http or https URL", "type": "url_scheme"}
_TYPES: Final = {
    401: "unauthenticated",
    402: "budget_exceeded",
    403: "forbidden",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "too_large",
    415: "unsupported_media_type",
    429: "queue_full",
    499: "client_cancelled",
    500: "internal_error",
    503: "store_unavailable",
    504: "request_timeout",
}
ERROR_EXAMPLES: Final[dict[int, dict[str, Any]]] = {
    **{status: {kind: {"detail": ERRORS[status], "error_type": kind}} for status, kind in _TYPES.items()},
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
    """Of refusals, and of results that are none. What they hold is said once for all."""
    return {status: {"description": ERRORS[status]} for status in statuses}


def error_schema() -> dict[str, Any]:
    """Named schemas."""
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
INITIATED: Final[dict[int | str, dict[str, Any]]] = {200: {"model": FalUpload}}
UPLOADED: Final[dict[int | str, dict[str, Any]]] = {200: {"model": FalNothing, "description": "The image is stored."}}
_OBJECT: Final = {
    "application/json": {
        "schema": {"type": "object"},
        "example": {"video": {"url": "https://v3b.fal.media/files/b/0a9e/video.mp4"}, "seed": 7},
    }
}
_STREAM: Final = {"text/event-stream": {"schema": stream_event(), "example": {"data": '{"status":"IN_QUEUE"}'}}}
#: Whatever the target answers.
PROXIED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The response of the target.", "content": {**_OBJECT, **_STREAM}},
    202: {"description": "The response of the target.", "content": _OBJECT},
    **answers(*ERRORS),
}


def events(example: str) -> dict[int | str, dict[str, Any]]:
    """``example``: the data of one of them."""
    content = {"text/event-stream": {"schema": stream_event(), "example": {"data": example}}}
    return {200: {"description": "Server-sent events.", "content": content}}


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
    "requestBody": {"required": True, "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}},
}
