"""Translates fal's HTTP responses into outcomes; only this module and ``results`` know fal's messages.

Pure functions. Sources: fal's documentation and transcripts of its public API.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from service.domain.failure import Failure
from service.domain.generation import LogLine
from service.domain.outcomes import (
    Accepted,
    CancelOutcome,
    Completed,
    InQueue,
    Locked,
    Missing,
    NotSubmitted,
    Rejected,
    Running,
    StatusOutcome,
    SubmitOutcome,
    Unknown,
    UpstreamError,
)
from service.upstream.http_result import HttpResponse, NoHttpResponse, Wire

_LONGEST_TEXT: Final = 500
#: Characters of fal's id of a request. Real ones have 36.
LONGEST_ID: Final = 256
#: Bounds on what a record stores of one answer: characters of a log line, and of an error's detail as JSON.
_LONGEST_LINE: Final = 2_000
_LONGEST_LABEL: Final = 64
_LONGEST_DETAIL: Final = 32_768
#: Integers beyond are not exact in JavaScript, and Python reads up to 4,300 digits.
_LARGEST_INTEGER: Final = 2**53 - 1
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
#: The time of a log line whose time cannot be read.
_NO_TIME: Final = "1970-01-01T00:00:00.000Z"


def submit_outcome(wire: Wire) -> SubmitOutcome:  # noqa: PLR0911  (one return per row of the table)
    """Return the outcome of a submit. The first matching row decides.

    ==========================================================  ============
    no byte was sent (refused, DNS, TLS, pool)                  NotSubmitted
    2xx with a request id                                       Accepted
    400, 413 or 422 in fal's own JSON: about the body           Rejected
    401 or 403 in fal's own JSON                                Locked
    503 or another 4xx in fal's own JSON, except 408            NotSubmitted
    other: read timeout, reset, bare 5xx, unreadable 2xx        Unknown
    ==========================================================  ============

    A 4xx that is not about the body is about the account, the endpoint or the call (402, 404, 405, 409, 415, 429, ...):
    any generation would get the same, so it fails none. After 408 fal may have received enough to start the job.
    """
    match wire:
        case NoHttpResponse(sent=False, reason=reason):
            return NotSubmitted(reason)
        case NoHttpResponse(reason=reason):
            return Unknown(reason)
        case HttpResponse(status=status, body={"request_id": str(request_id)}) if (
            200 <= status < 300 and 0 < len(request_id) <= LONGEST_ID
        ):
            return Accepted(request_id)
        case HttpResponse(status=400 | 413 | 422 as status) if _speaks_fal(wire):
            return Rejected(
                Failure("upstream_rejected", message_of(wire), detail=detail_of(wire), upstream_status=status)
            )
        case HttpResponse(status=401 | 403 as status) if _speaks_fal(wire):
            return Locked(f"fal answered {status}: {message_of(wire)}")
        case HttpResponse(status=status) if (
            (status == 503 or 400 <= status < 500) and status != 408 and _speaks_fal(wire)
        ):
            return NotSubmitted(f"fal answered {status}: {message_of(wire)}", refused=True)
        case HttpResponse(status=status):
            return Unknown(f"fal answered {status} without a request id")


def status_outcome(wire: Wire) -> StatusOutcome:
    match wire:
        case HttpResponse(status=200 | 202, body={"status": "IN_QUEUE"} as body):
            return InQueue(whole_number(body.get("queue_position")), _logs(body))
        case HttpResponse(status=200 | 202, body={"status": "IN_PROGRESS"} as body):
            return Running(_logs(body))
        case HttpResponse(status=200 | 202, body={"status": "COMPLETED"} as body):
            return Completed(_logs(body))
        case HttpResponse(status=404, body={"status": "NOT_FOUND"}):
            return Missing()
        case _:
            return trouble_of(wire)


def is_unknown(wire: Wire) -> bool:
    """Return whether fal states that it has no such request."""
    return isinstance(wire, HttpResponse) and wire.status == 404 and wire.body == {"status": "NOT_FOUND"}


def cancel_outcome(wire: Wire) -> CancelOutcome:
    match wire:
        case HttpResponse(status=status) if 200 <= status < 300:
            return "requested"
        case HttpResponse(status=400 | 404):
            return "too_late"
        case _:
            return "trouble"


def _speaks_fal(wire: HttpResponse) -> bool:
    return isinstance(wire.body, dict) and ("detail" in wire.body or "status" in wire.body)


def trouble_of(wire: Wire) -> UpstreamError:
    match wire:
        case NoHttpResponse(reason=reason):
            return UpstreamError(reason)
        case HttpResponse(status=status):
            return UpstreamError(f"fal answered {status}", locked=status in (401, 403))


def message_of(wire: HttpResponse) -> str:
    match wire.body:
        case {"detail": str(text)}:
            return text[:_LONGEST_TEXT]
        case {"detail": [{"msg": str(text)}, *_]}:
            return text[:_LONGEST_TEXT]
    return f"fal answered {wire.status}"


def detail_of(wire: HttpResponse) -> Any:
    """Return fal's error detail without the input that fal repeats in it; None if it is too large to be stored."""
    match wire.body:
        case {"detail": [*items]}:
            return _storable(
                [
                    {name: part for name, part in item.items() if name != "input"} if isinstance(item, dict) else item
                    for item in items
                ]
            )
        case {"detail": detail}:
            return _storable(detail)
    return None


def whole_number(value: object) -> int | None:
    """Return an integer of a response; None for any other value. ``true`` is an ``int`` in Python only."""
    return value if type(value) is int and abs(value) <= _LARGEST_INTEGER else None


def _storable(detail: Any) -> Any:
    return detail if len(json.dumps(detail)) <= _LONGEST_DETAIL else None


def _logs(body: Mapping[Any, Any]) -> tuple[LogLine, ...]:
    entries = body.get("logs")
    if not isinstance(entries, list):
        return ()
    return tuple(
        LogLine(
            str(entry.get("message", ""))[:_LONGEST_LINE],
            str(entry.get("level", "INFO"))[:_LONGEST_LABEL],
            _timestamp(entry.get("timestamp")),
        )
        for entry in entries
        if isinstance(entry, dict)
    )


def _timestamp(value: Any) -> str:
    """Return fal's time of a log line if it is RFC 3339, else in this form: generated clients parse it as a time."""
    text = str(value)[:_LONGEST_LABEL]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _NO_TIME
    if _RFC_3339.fullmatch(text):
        return text
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
