"""OpenAPI descriptions of the routes below ``/openrouter``: schemas, errors, parameters."""

from typing import Any, Final, Literal, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from service.api import example_costs
from service.api.dialects.openrouter.call import OpenRouterCall
from service.api.dialects.openrouter.models import OpenRouterModels
from service.api.dialects.openrouter.refusals import OpenRouterError
from service.api.schemas import SCHEMA_REFERENCE, body_of
from service.domain.described import described

OpenRouterStatus = Literal["pending", "in_progress", "completed", "failed", "cancelled", "expired"]


@described
class OpenRouterSubmitted(TypedDict):
    id: str
    """Id of the job, which is the id of the generation on `/v1`."""
    polling_url: str
    """URL of the job."""
    status: OpenRouterStatus
    """`pending`, or the status of the job that a repeated submit has created."""


@described
class OpenRouterUsage(TypedDict):
    cost: float
    """What the job has cost, in US dollars."""
    is_byok: bool
    """Always `false`."""


@described
class OpenRouterJob(TypedDict):
    """A video job. Members without a value are left out."""

    id: str
    """Id of the job, which is the id of the generation on `/v1`."""
    generation_id: str
    """The same as `id`."""
    polling_url: str
    """URL of the job."""
    status: OpenRouterStatus
    """`pending`: queued here or at fal. `in_progress`: fal renders it, or may do so (`unconfirmed` on `/v1`).
    `completed`: the video can be downloaded. `failed`: see `error`. `cancelled`: canceled on `/v1`. `expired`: it
    stayed queued for too long.
    """
    unsigned_urls: NotRequired[list[str]]
    """With `completed`: URL of the video, which needs your API key. Absent if the video was deleted."""
    usage: NotRequired[OpenRouterUsage]
    """What the job has cost. Absent until the job has ended: the held amount is on `/v1`."""
    error: NotRequired[str]
    """With `failed` and `expired`: why there is no video, for people."""


#: Refusals by status.
ERRORS: Final = {
    400: "A member of the body is wrong, or the body is malformed.",
    401: "The API key is missing, malformed, expired or revoked.",
    402: "A budget does not cover the estimate.",
    403: "The API key lacks the scope, or the tenant may not use the model or is suspended.",
    404: "It does not exist, or belongs to another tenant, or the model is not enabled.",
    408: "The body arrived too slowly.",
    409: "The job is not completed.",
    412: "The video has another ETag than `If-Match`.",
    413: "The body is too large.",
    415: "The body is not JSON, or has a `Content-Encoding`.",
    416: "`Range` lies outside the video; `Content-Range` has the size of the video.",
    429: "A limit is reached; send the request again after `Retry-After`.",
    500: "The gateway has an error.",
    503: "Temporarily unavailable, nothing was changed; send the request again after `Retry-After`.",
}


#: ``error_type``, ``param`` and message of a real occurrence.
_OCCURRENCES: Final[dict[int, tuple[str, str | None, str]]] = {
    400: ("invalid", "duration", "duration: must be 'auto', '4' or '5'"),
    401: ("unauthenticated", None, "The API key is unknown, expired or revoked."),
    402: (
        "budget_exceeded",
        None,
        f"It may cost {example_costs.SHORT} USD; the budget tenant_month has 0.420000 USD left.",
    ),
    403: (
        "model_forbidden",
        "model",
        "This tenant may not use the model bytedance/seedance-2.5/text-to-video. You may use: none.",
    ),
    404: ("not_found", None, "There is no such generation."),
    408: ("request_timeout", None, "The body took longer than 60 seconds."),
    409: ("video_not_ready", None, "The generation has not ended."),
    412: ("precondition_failed", None, "If-Match has another ETag than the video."),
    413: ("too_large", None, "The body is larger than 1048576 bytes."),
    415: ("unsupported_media_type", None, "Send the body as application/json."),
    416: ("range_not_satisfiable", None, "Range lies outside the file, which has 2097152 bytes."),
    429: ("queue_full", None, "Queue limit reached: 1000 generations are queued."),
    500: ("internal", None, "Something went wrong here; the request id finds it in our logs."),
    503: ("store_unavailable", None, "Redis does not answer."),
}
_RETRYABLE: Final = frozenset({408, 409, 429, 503})


def _example(status: int, kind: str, param: str | None, message: str) -> dict[str, Any]:
    metadata = {"error_type": kind, "retryable": status in _RETRYABLE, "request_id": "4bf92f3577b34da6a3ce929d0e0e4736"}
    if param is not None:
        metadata["param"] = param
    return {"error": {"code": status, "message": message, "metadata": metadata}}


ERROR_EXAMPLES: Final[dict[int, dict[str, Any]]] = {
    status: {kind: _example(status, kind, param, message)} for status, (kind, param, message) in _OCCURRENCES.items()
}


def error_schema() -> dict[str, Any]:
    """Named schemas."""
    schema = TypeAdapter(OpenRouterError).json_schema(ref_template=SCHEMA_REFERENCE)
    return {**schema.pop("$defs"), "OpenRouterError": schema}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"description": ERRORS[status]} for status in statuses}


SUBMITTED: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": OpenRouterSubmitted, "description": "Accepted. Poll `polling_url`, or wait for `callback_url`."}
}
JOB: Final[dict[int | str, dict[str, Any]]] = {200: {"model": OpenRouterJob, "description": "The job."}}
MODELS: Final[dict[int | str, dict[str, Any]]] = {200: {"model": OpenRouterModels, "description": "The models."}}
JOB_ID: Final[dict[str, Any]] = {
    "parameters": [
        {
            "in": "path",
            "name": "job_id",
            "description": "Id of the job, from the response of the submit.",
            "schema": {"type": "string"},
            "required": True,
        }
    ]
}
SUBMIT: Final[dict[str, Any]] = body_of(OpenRouterCall)
