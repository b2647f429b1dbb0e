"""What the OpenAPI document says of the fal surface."""

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
    400: "Malformed, or not ended yet, or too late to cancel",
    401: "No key, or not a good one",
    402: "No room in a budget",
    403: "Not allowed",
    404: "Unknown, or not yours",
    405: "The target has other methods: `Allow`",
    408: "The body came too slowly",
    413: "Body too large",
    415: "No image",
    422: "A field is wrong, or the model refused it",
    429: "Too many; again after `Retry-After`",
    499: "Canceled",
    500: "Failed, or our fault",
    503: "Try again after `Retry-After`; nothing was changed",
    504: "Not begun, or not ended, in time",
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
    **{status: {kind: {"detail": f"{ERRORS[status]}.", "error_type": kind}} for status, kind in _TYPES.items()},
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


SUBMITTED: Final[dict[int | str, dict[str, Any]]] = {200: {"model": FalSubmitted, "description": "Accepted"}}
STATUS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": FalStatus, "description": "Ended"},
    202: {"model": FalStatus, "description": "Not ended yet"},
}
RESULT: Final[dict[int | str, dict[str, Any]]] = {200: {"model": FalOutput, "description": "The model's output"}}
CANCELED: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": FalCancelled, "description": "Canceled, or fal is asked to"}
}
INITIATED: Final[dict[int | str, dict[str, Any]]] = {200: {"model": FalUpload}}
UPLOADED: Final[dict[int | str, dict[str, Any]]] = {200: {"model": FalNothing, "description": "Stored"}}
_OBJECT: Final = {
    "application/json": {
        "schema": {"type": "object"},
        "example": {"video": {"url": "https://v3b.fal.media/files/b/0a9e/video.mp4"}, "seed": 7},
    }
}
_STREAM: Final = {"text/event-stream": {"schema": stream_event(), "example": {"data": '{"status":"IN_QUEUE"}'}}}
#: Whatever the target answers.
PROXIED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "As the target answers it", "content": {**_OBJECT, **_STREAM}},
    202: {"description": "As the target answers it", "content": _OBJECT},
    **answers(*ERRORS),
}


def events(example: str) -> dict[int | str, dict[str, Any]]:
    """``example``: the data of one of them."""
    content = {"text/event-stream": {"schema": stream_event(), "example": {"data": example}}}
    return {200: {"description": "Server-sent events", "content": content}}


ENDPOINT: Final = _parameter("path", "endpoint", "The model, `owner/app/path`", required=True)
REQUEST: Final = {
    "parameters": [
        _parameter("path", "endpoint", "The model, or only its `owner/app`", required=True),
        _parameter("path", "request_id", "As the submit answered", required=True),
    ]
}
ORDER: Final[dict[str, Any]] = {
    **body_of(VideoInput),
    "parameters": [
        _parameter("query", "fal_webhook", "URL that is told of the end"),
        _parameter("query", "fal_max_queue_length", "Refuse where more of yours wait", "integer"),
        _parameter("header", "X-Fal-Request-Timeout", "Seconds within which it must begin", "number"),
        _parameter("header", "X-Fal-Queue-Priority", "`normal` or `low`, among your own"),
        _parameter("header", "Idempotency-Key", "The same key and body again answer with the first request"),
    ],
}
PROXY: Final = {"parameters": [_parameter("header", TARGET_URL, "The URL of fal's", required=True)]}
TICKET: Final = {
    "parameters": [_parameter("query", "ticket", "As the URL has it", required=True)],
    "requestBody": {"required": True, "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}},
}
