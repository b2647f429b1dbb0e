"""OpenAPI descriptions of the routes below ``/openai/v1``: schemas, errors, the body of a create."""

from typing import Any, Final

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from service.api import example_costs
from service.api.dialects.openai.view import OpenAIDeleted, OpenAIVideo, OpenAIVideoList
from service.api.schemas import SCHEMA_REFERENCE
from service.domain.described import described

POLL_AFTER: Final = "openai-poll-after-ms"


@described
class OpenAIErrorDetail(TypedDict):
    message: str
    """What was wrong, for people."""
    type: str
    """Type of the error, as OpenAI names it: `invalid_request_error`, `authentication_error`, `permission_error`,
    `insufficient_quota`, `rate_limit_error` or `server_error`.
    """
    param: str | None
    """The field or parameter that is wrong. `null`: the error concerns none."""
    code: str
    """Stable code of the error, as in problem documents."""


@described
class OpenAIError(TypedDict):
    error: OpenAIErrorDetail
    """The error."""


ERRORS: Final = {
    400: "A field is wrong, the request is malformed, or the state does not allow it.",
    401: "The API key is missing, malformed, expired or revoked.",
    402: "A budget does not cover the estimate. The SDK does not repeat the request.",
    403: "The API key lacks the scope, or the tenant may not use the model.",
    404: "There is no such video or model, or it belongs to another tenant.",
    408: "The body arrived too slowly.",
    409: "The video has not ended; send the request again after `Retry-After`.",
    412: "`If-Match` names another ETag.",
    413: "The body is too large.",
    415: "The content type is not supported, or the body has a `Content-Encoding`.",
    416: "`Range` lies outside the video; `Content-Range` has the size of the video.",
    429: "A limit is reached; send the request again after `Retry-After`.",
    500: "An error of the gateway.",
    503: "Temporarily unavailable, nothing was changed; send the request again after `Retry-After`.",
}
_INVALID: Final = "invalid_request_error"
#: ``type``, ``param``, ``code`` and ``message`` of a real occurrence.
_OCCURRENCES: Final[dict[int, tuple[str, str | None, str, str]]] = {
    400: (_INVALID, "seconds", "invalid", "seconds: must be 'auto', '4' or '5'"),
    401: ("authentication_error", None, "unauthenticated", "The API key is unknown, expired or revoked."),
    402: (
        "insufficient_quota",
        None,
        "budget_exceeded",
        f"It may cost {example_costs.SHORT} USD; the budget tenant_month has 0.420000 USD left.",
    ),
    403: (
        "permission_error",
        "model",
        "model_forbidden",
        "This tenant may not use the model bytedance/seedance-2.5/text-to-video.",
    ),
    404: (
        _INVALID,
        "model",
        "model_not_found",
        "There is no such model; you may use: bytedance/seedance-2.0/image-to-video.",
    ),
    408: (_INVALID, None, "request_timeout", "The body took longer than 60 seconds."),
    409: (_INVALID, None, "video_not_ready", "The generation has not ended."),
    412: (_INVALID, None, "precondition_failed", "If-Match has another ETag than the video."),
    413: (_INVALID, None, "too_large", "The body is larger than 8000000 bytes."),
    415: (
        _INVALID,
        None,
        "unsupported_media_type",
        "Send the body as multipart/form-data or application/json.",
    ),
    416: (_INVALID, None, "range_not_satisfiable", "Range lies outside the file, which has 2097152 bytes."),
    429: (
        "rate_limit_error",
        None,
        "queue_full",
        "1000 generations of this tenant are waiting, as many as may.",
    ),
    500: ("server_error", None, "internal", "Something went wrong here; the request id finds it in our logs."),
    503: ("server_error", None, "store_unavailable", "Redis does not answer."),
}
ERROR_EXAMPLES: Final[dict[int, dict[str, Any]]] = {
    status: {code: {"error": {"message": message, "type": kind, "param": param, "code": code}}}
    for status, (kind, param, code, message) in _OCCURRENCES.items()
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Of refusals. What they hold is said once for all."""
    return {status: {"description": ERRORS[status]} for status in statuses}


def error_schema() -> dict[str, Any]:
    """Named schemas."""
    schema = TypeAdapter(OpenAIError).json_schema(ref_template=SCHEMA_REFERENCE)
    return {**schema.pop("$defs"), "OpenAIError": schema}


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


_REFERENCE: Final = {
    "type": "object",
    "description": "The first frame. In a form: the file itself, JPEG, PNG or WebP. Default: none.",
    "required": ["image_url"],
    "properties": {"image_url": _text("A URL that fal can fetch, or the image as a base64 data URI.")},
}
#: A form is accepted too, and described in words: generators write invalid functions for bodies of several types.
_BODY: Final = {
    "title": "OpenAIVideoRequest",
    "type": "object",
    "description": "Fields of `POST /v1/generations` are accepted too, by their names there.",
    "required": ["prompt"],
    "additionalProperties": True,
    "properties": {
        "prompt": _text("What happens in the video."),
        "model": _text("Id or alias of a model, see `GET /v1/models`. Default: the model of `default`."),
        "seconds": _text("Seconds of video: any duration of the model, or `auto`. Default: the model's."),
        "size": _text(
            "Resolution and aspect ratio as a size in pixels; the shorter side is the resolution. Default: the "
            "model's.",
            examples=["1280x720"],
        ),
        "input_reference": _REFERENCE,
    },
}
CREATE: Final = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": _BODY}}},
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "schema": {"type": "string"},
            "description": "A repeat with the same key and fields returns the first video and creates nothing. "
            "Default: none.",
        }
    ],
}
CREATED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": OpenAIVideo, "description": "Accepted. Poll it, or wait for a webhook."}
}
READ: Final[dict[int | str, dict[str, Any]]] = {200: {"model": OpenAIVideo, "description": "The video job."}}
LISTED: Final[dict[int | str, dict[str, Any]]] = {200: {"model": OpenAIVideoList, "description": "A page."}}
DELETED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": OpenAIDeleted, "description": "Canceled, or left unchanged because it had ended."}
}
