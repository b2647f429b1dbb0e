"""OpenAPI descriptions of the routes below ``/fal``: fal's schemas, errors, parameters."""

from typing import Any, Final, Literal, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from service.api import example_costs
from service.api.schemas import SCHEMA_REFERENCE, body_of, event_stream
from service.domain.described import Timestamp, described
from service.domain.request import VideoInput

TARGET_URL: Final = "x-fal-target-url"


@described
class FalFault(TypedDict):
    loc: list[str | int]
    """Path of the field, such as `["body", "image_url"]`."""
    msg: str
    """What is wrong with the field, for people."""
    type: str
    """Stable code of the fault."""


@described
class FalError(TypedDict):
    """``detail``: text, or one fault each. ``status`` alone where there is no such request, or nothing to cancel."""

    detail: NotRequired[str | list[FalFault] | dict[str, Any]]
    """What was wrong: text, or one entry for each wrong field."""
    error_type: NotRequired[str]
    """Stable code of the error."""
    status: NotRequired[Literal["NOT_FOUND", "ALREADY_COMPLETED"]]
    """`NOT_FOUND`: there is no such request. `ALREADY_COMPLETED`: it has ended and cannot be canceled."""


@described
class FalSubmitted(TypedDict):
    status: Literal["IN_QUEUE"]
    """Always `IN_QUEUE`."""
    request_id: str
    """Id of the request, which is the id of the generation."""
    response_url: str
    """URL of the result."""
    status_url: str
    """URL of the status."""
    cancel_url: str
    """URL that cancels the request."""
    queue_position: int
    """Requests of the same tenant that are dispatched before this one; 0 is the next."""


@described
class FalLogLine(TypedDict):
    message: str
    """Text of the line."""
    level: str
    """Level as fal sent it, such as `INFO`."""
    source: str
    """Always `USER`."""
    timestamp: Timestamp
    """When fal wrote the line, RFC 3339."""


@described
class FalMetrics(TypedDict):
    inference_time: NotRequired[float]
    """Seconds that fal rendered."""


@described
class FalStatus(TypedDict):
    """``error`` and ``error_type`` where it has not succeeded: fal has no state for that."""

    status: Literal["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    """`COMPLETED`: the request has ended, with or without a video."""
    request_id: str
    """Id of the request."""
    response_url: str
    """URL of the result."""
    status_url: str
    """URL of the status."""
    cancel_url: str
    """URL that cancels the request."""
    logs: list[FalLogLine] | None
    """Lines of fal's log if the query has `logs=1`, else `null`."""
    queue_position: NotRequired[int]
    """With `IN_QUEUE`: requests that are dispatched before this one."""
    metrics: NotRequired[FalMetrics]
    """With `COMPLETED`: measurements of the request."""
    error: NotRequired[str]
    """Why there is no video, for people."""
    error_type: NotRequired[str]
    """Stable code of the error."""


@described
class FalFile(TypedDict):
    url: str
    """Where the file is."""
    content_type: NotRequired[str]
    """Media type of the file."""
    file_name: NotRequired[str]
    """Name of the file."""
    file_size: NotRequired[int]
    """Size in bytes."""


@described
class FalOutput(TypedDict):
    video: FalFile
    """The generated video."""
    seed: int | None
    """The seed that fal used. `null`: fal did not say."""
    draft_id: NotRequired[str]
    """Of a draft: the id to send as `draft_id` to `bytedance/seedance-2.5/draft/complete`. It is the id of this request
    in the gateway, not fal's own id of the draft.
    """


@described
class FalCancelled(TypedDict):
    status: Literal["CANCELLATION_REQUESTED"]
    """Always `CANCELLATION_REQUESTED`, also if the request was canceled at once."""


@described
class FalUpload(TypedDict):
    """Put the bytes to ``upload_url``, use ``file_url``."""

    upload_url: str
    """URL for one `PUT` of the bytes, valid for 15 minutes."""
    file_url: str
    """URL of the image after the upload; use it as `image_url`."""


@described
class FalCdnToken(TypedDict):
    """Send the bytes to ``base_url`` and ``/files/upload``, with the token as a bearer token."""

    token: str
    """The token: an access ticket for uploads, valid for 15 minutes."""
    token_type: Literal["Bearer"]
    """Always `Bearer`."""
    base_url: str
    """URL in front of `/files/upload`."""
    expires_at: Timestamp
    """When the token stops working, ISO 8601 with an offset."""


@described
class FalCdnFile(TypedDict):
    """Use ``access_url`` as the URL of the image."""

    access_url: str
    """URL of the image; use it as `image_url`."""


@described
class FalKey(TypedDict):
    kty: Literal["OKP"]
    """Key type, always `OKP`."""
    crv: Literal["Ed25519"]
    """Curve, always `Ed25519`."""
    x: str
    """The public key, base64url without padding."""
    use: Literal["sig"]
    """Always `sig`: the key verifies signatures."""
    alg: Literal["EdDSA"]
    """Algorithm, always `EdDSA`."""


@described
class FalKeySet(TypedDict):
    keys: list[FalKey]
    """The keys that sign."""


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
#: Whatever the target answers.
PROXIED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The response of the target.", "content": {**_OBJECT, **_STREAM}},
    202: {"description": "The response of the target.", "content": _OBJECT},
    **answers(*ERRORS),
}


def events(example: str) -> dict[int | str, dict[str, Any]]:
    """``example``: the data of one of them."""
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
