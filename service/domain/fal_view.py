"""A generation in fal's format, for fal's clients: status, result and webhook."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from pydantic_core import to_json

from service.domain.failure import ErrorCode, Failure
from service.domain.generation import Generation
from service.domain.status import PublicStatus, Status

STILL_RUNNING: Final = "Request is still in progress"
CANCELED: Final = "Request cancelled by the client."
_HEADER_TOKEN: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_DOCS: Final = "https://docs.fal.ai/errors#"


@dataclass(frozen=True, slots=True)
class FalResponse:
    """A response as fal sends it: HTTP status and body of the model or the platform."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _FalError:
    """fal's form of an error that the gateway decided: of the model if it has a location, else of the platform."""

    status: int
    type: str
    location: str = ""


#: fal's form of each error code, for failures without a response of fal. Both official clients retry after 503 and 504,
#: so these are not used where a retry does not help.
_OWN: Final[Mapping[ErrorCode, _FalError]] = {
    "content_policy": _FalError(422, "content_policy_violation", "prompt"),
    "invalid_input": _FalError(422, "value_error", "body"),
    "image_unreachable": _FalError(422, "file_download_error", "image_url"),
    "upstream_rejected": _FalError(422, "invalid_request", "body"),
    "upstream_timeout": _FalError(504, "request_timeout"),
    "upstream_unavailable": _FalError(500, "internal_error"),
    "submission_unconfirmed": _FalError(500, "internal_error"),
    "expired": _FalError(504, "request_timeout"),
    "internal": _FalError(500, "internal_error"),
}
_NO_RETRY: Final = {"x-fal-request-timeout-type": "user"}  # clients do not retry a timeout of their own


#: For a caller that waited for the longest allowed time. Its generation continues.
RAN_TOO_LONG: Final = FalResponse(
    504, {"detail": "The request did not finish within the longest wait.", "error_type": "request_timeout"}, _NO_RETRY
)


# --- status ----------------------------------------------------------------------------------------------------------


def submitted(g: Generation, request_url: str, position: int) -> dict[str, Any]:
    return {"status": "IN_QUEUE", **_links(g, request_url), "logs": None, "metrics": {}, "queue_position": position}


def status(g: Generation, request_url: str, position: int | None, *, with_logs: bool) -> tuple[int, dict[str, Any]]:
    """Return HTTP status and body. ``unconfirmed`` counts as IN_PROGRESS, because fal may have the job."""
    logs = _logs(g) if with_logs else None
    body: dict[str, Any] = {"status": _state(g), **_links(g, request_url), "logs": logs}
    if g.is_terminal:
        return 200, {**body, "metrics": _metrics(g), **_errors(g)}
    if body["status"] == "IN_QUEUE":
        body["queue_position"] = position if position is not None else g.upstream_position or 0
    return 202, body


def _state(g: Generation) -> str:
    if g.is_terminal:
        return "COMPLETED"
    return "IN_PROGRESS" if g.public_status in (PublicStatus.IN_PROGRESS, PublicStatus.UNCONFIRMED) else "IN_QUEUE"


def _links(g: Generation, request_url: str) -> dict[str, str]:
    return {
        "request_id": g.id,
        "response_url": request_url,
        "status_url": f"{request_url}/status",
        "cancel_url": f"{request_url}/cancel",
    }


def _logs(g: Generation) -> list[dict[str, str]]:
    return [
        {"message": line.message, "level": line.level, "source": "USER", "timestamp": line.timestamp} for line in g.logs
    ]


def _metrics(g: Generation) -> dict[str, float]:
    if g.started_at is None or g.finished_at is None:
        return {}
    return {"inference_time": (g.finished_at - g.started_at) / timedelta(seconds=1)}


def _errors(g: Generation) -> dict[str, str]:
    if g.status is Status.CANCELED:
        return {"error": CANCELED, "error_type": "client_cancelled"}
    if g.error is None:
        return {}
    return {"error": g.error.message, "error_type": _type(g.error)}


def _type(failure: Failure) -> str:
    match failure.detail:
        case [{"type": str(kind)}, *_]:
            return kind
    return failure.upstream_type or _OWN[failure.code].type


# --- result ----------------------------------------------------------------------------------------------------------


def result(g: Generation) -> FalResponse:
    """Return the response to ``GET`` of a request, in any status."""
    match g.status:
        case Status.SUCCEEDED if g.output is not None:
            video = g.output.video
            file = {
                "url": video.source or video.url,  # fal's clients fetch it without a key
                "content_type": video.content_type,
                "file_name": video.file_name,
                "file_size": video.file_size,
            }
            body: dict[str, Any] = {
                "video": {name: part for name, part in file.items() if part is not None},
                "seed": g.output.seed,
            }
            if g.output.draft_id is not None:
                body["draft_id"] = g.id  # fal's own id is valid for all tenants of the account
            return FalResponse(200, body, _units(g.billable_units))
        case Status.SUCCEEDED:
            return FalResponse(404, {"status": "NOT_FOUND"})  # erased
        case Status.CANCELED:
            return _platform(499, CANCELED, "client_cancelled", _units(g.billable_units or Decimal()))
        case Status.FAILED if g.error is not None:
            return _failed(g.error, _units(g.billable_units or Decimal()))
    return FalResponse(400, {"detail": STILL_RUNNING})


def _failed(failure: Failure, units: Mapping[str, str]) -> FalResponse:
    own = _OWN[failure.code]
    code = failure.upstream_status or own.status
    headers = {**units, **(_NO_RETRY if failure.code == "expired" else {})}
    if failure.upstream_type is not None:
        return _platform(code, failure.detail or failure.message, failure.upstream_type, headers)
    if failure.detail is not None:
        return FalResponse(code, {"detail": failure.detail}, headers)
    if not own.location:
        return _platform(code, failure.message, own.type, headers)
    where = ["body"] if own.location == "body" else ["body", own.location]
    entry = {"loc": where, "msg": failure.message, "type": own.type, "url": f"{_DOCS}{own.type}"}
    return FalResponse(code, {"detail": [entry]}, headers)


def _platform(code: int, detail: Any, kind: str, headers: Mapping[str, str]) -> FalResponse:
    error_type = {"x-fal-error-type": kind} if _HEADER_TOKEN.fullmatch(kind) else {}
    return FalResponse(code, {"detail": detail, "error_type": kind}, {**headers, **error_type})


def _units(units: Decimal | None) -> dict[str, str]:
    return {} if units is None else {"x-fal-billable-units": format(units.normalize(), "f")}


# --- webhook ---------------------------------------------------------------------------------------------------------


def webhook(g: Generation) -> str:
    """Return the body of the webhook at the end of a generation."""
    ended = result(g)
    body = {"request_id": g.id, "gateway_request_id": g.id, "status": "OK", "payload": ended.body}
    if ended.status != 200:
        body |= {"status": "ERROR", "error": f"Invalid status code: {ended.status}"}
    return to_json(body).decode()
