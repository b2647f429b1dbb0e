"""What the OpenAPI document says of the fal surface."""

from typing import Any, Final

from service.api.schemas import body_of
from service.domain.request import VideoInput

TARGET_URL: Final = "x-fal-target-url"
_ANSWERS: Final = {
    200: "As fal answers it",
    202: "Not ended yet",
    400: "Malformed, or not ended yet",
    401: "No key, or not a good one",
    402: "No room in a budget",
    403: "Not allowed",
    404: "Unknown, or not yours",
    408: "The body came too slowly",
    413: "Body too large",
    415: "No image",
    422: "A field is wrong, or the model refused it",
    429: "Too many; again after `Retry-After`",
    499: "Canceled",
    500: "Failed",
    503: "Try again after `Retry-After`; nothing was changed",
    504: "Not begun, or not ended, in time",
}
_JSON: Final = {"application/json": {"schema": {"type": "object"}}}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Objects of fal's; errors have a ``detail``: text, or a list with ``loc``, ``msg`` and ``type``."""
    return {status: {"description": _ANSWERS[status], "content": _JSON} for status in statuses}


def _object(description: str, **members: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": list(members), "properties": members}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _parameter(where: str, name: str, description: str, kind: str = "string", *, required: bool = False) -> Any:
    schema = {"type": kind}
    return {"in": where, "name": name, "description": description, "schema": schema, "required": required}


_TEXT: Final = {"type": "string"}
SUBMITTED: Final[dict[int | str, dict[str, Any]]] = {
    200: _object(
        "Accepted",
        status={"const": "IN_QUEUE"},
        request_id=_TEXT,
        response_url=_TEXT,
        status_url=_TEXT,
        cancel_url=_TEXT,
        queue_position={"type": "integer"},
    )
}
CANCELED: Final[dict[int | str, dict[str, Any]]] = {
    202: _object("Canceled, or fal is asked to", status={"const": "CANCELLATION_REQUESTED"})
}
INITIATED: Final[dict[int | str, dict[str, Any]]] = {
    200: _object("Put the bytes to `upload_url`, use `file_url`", upload_url=_TEXT, file_url=_TEXT)
}
UPLOADED: Final[dict[int | str, dict[str, Any]]] = {200: {"description": "Stored", "content": _JSON}}

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
