"""Translates how a job ended: from its result, and from the callback that reports it.

Pure functions, like ``messages``, with the same sources.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from service.domain.callback import Callback
from service.domain.failure import ErrorCode, Failure
from service.domain.generation import Output, Video
from service.domain.outcomes import Canceled, Failed, NotReady, ResultOutcome, Succeeded
from service.upstream.http_result import HttpResponse, Wire, read_response
from service.upstream.messages import LONGEST_ID, detail_of, message_of, trouble_of, whole_number

_STILL_RUNNING: Final = "Request is still in progress"

#: Bounds on what a record stores of a result, in characters.
_LONGEST_URL: Final = 8_192
_LONGEST_NAME: Final = 1_000
_LONGEST_TYPE: Final = 64

#: fal's error types -> error codes of the gateway. The HTTP status decides for types that are not listed.
MODEL_ERRORS: Final[Mapping[str, ErrorCode]] = {
    "content_policy_violation": "content_policy",
    "no_media_generated": "upstream_rejected",
    "image_load_error": "image_unreachable",
    "file_download_error": "image_unreachable",
    "internal_server_error": "upstream_unavailable",
    "downstream_service_error": "upstream_unavailable",
    "downstream_service_unavailable": "upstream_unavailable",
    "generation_timeout": "upstream_timeout",
    "request_timeout": "upstream_timeout",
    "startup_timeout": "upstream_timeout",
    "runner_scheduling_failure": "upstream_unavailable",
    "runner_connection_timeout": "upstream_unavailable",
    "runner_disconnected": "upstream_unavailable",
    "runner_connection_refused": "upstream_unavailable",
    "runner_connection_error": "upstream_unavailable",
    "runner_incomplete_response": "upstream_unavailable",
    "runner_server_error": "upstream_unavailable",
    "internal_error": "upstream_unavailable",
    "client_disconnected": "upstream_unavailable",
    "bad_request": "invalid_input",
}

#: Codes after which the same input may succeed in a new request.
_RETRYABLE: Final[frozenset[ErrorCode]] = frozenset({"upstream_timeout", "upstream_unavailable"})


def result_outcome(wire: Wire) -> ResultOutcome:
    """Return how the job ended, or that it has not ended."""
    match wire:
        case HttpResponse(status=200, body={"video": {"url": str(url)}}) if len(url) <= _LONGEST_URL:
            return Succeeded(_output(wire.body), _billable_units(wire))
        case HttpResponse(status=499):
            return Canceled(_billable_units(wire))
        case HttpResponse(status=400, body={"detail": str(text)}) if text.startswith(_STILL_RUNNING):
            return NotReady()
        case HttpResponse(status=404, body={"status": "NOT_FOUND"}):
            return Failed(
                Failure("upstream_unavailable", "The upstream no longer knows the result.", retryable=True),
                None,
                presumed_billed=True,
            )
        case HttpResponse(status=status) if _is_verdict(wire) and (
            status >= 500 or status in (400, 404, 413, 415, 422)
        ):
            return _failed(wire)
        case _:
            return trouble_of(wire)


def _is_verdict(wire: HttpResponse) -> bool:
    """Return whether the model or the platform answered about this job, as opposed to a proxy during an outage."""
    if not isinstance(wire.body, dict):
        return False
    typed = "error_type" in wire.body or "x-fal-error-type" in wire.headers
    return typed or isinstance(wire.body.get("detail"), list) or (400 <= wire.status < 500 and "detail" in wire.body)


def _failed(wire: HttpResponse) -> Failed:
    code = _code(wire)
    failure = Failure(
        code,
        message_of(wire),
        retryable=code in _RETRYABLE,
        detail=detail_of(wire),
        upstream_status=wire.status,
        upstream_type=_platform_type(wire),
    )
    return Failed(failure, _billable_units(wire))


def _code(wire: HttpResponse) -> ErrorCode:
    kind = _error_type(wire)
    if kind in MODEL_ERRORS:
        return MODEL_ERRORS[kind]
    if wire.status >= 500:
        return "upstream_unavailable"
    if wire.status == 404:
        return "upstream_rejected"
    if kind == "invalid_request" and "fetch" in message_of(wire):
        return "image_unreachable"  # the model's message for an image that it could not fetch
    return "invalid_input"


def _platform_type(wire: HttpResponse) -> str | None:
    """Return the type of a platform error. Errors of the model have their type in the detail."""
    match wire.body:
        case {"error_type": str(kind)}:
            return kind[:_LONGEST_TYPE]
    return wire.headers.get("x-fal-error-type")


def _error_type(wire: HttpResponse) -> str:
    match wire.body:
        case {"error_type": str(kind)}:
            return kind
        case {"detail": [{"type": str(kind)}, *_]}:
            return kind
    return wire.headers.get("x-fal-error-type", "")


def _output(body: Mapping[str, Any]) -> Output:
    video = body["video"]
    return Output(
        Video(
            url=video["url"],
            content_type=_str_or_none(video.get("content_type")),
            file_name=_str_or_none(video.get("file_name")),
            file_size=whole_number(video.get("file_size")),
        ),
        seed=whole_number(body.get("seed")),
        draft_id=_draft_id(body.get("draft_id")),
    )


def _draft_id(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_ID else None


#: A decimal number of bounded length: it is stored, and arithmetic with its exponent cannot overflow.
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?")


def _billable_units(wire: HttpResponse) -> Decimal | None:
    """Return the number of the header as sent, even if negative or absurd; None without a number."""
    text = wire.headers.get("x-fal-billable-units", "")
    return Decimal(text) if _NUMBER.fullmatch(text) else None


#: Matches the end of "Invalid status code: 422" and of "Unexpected status code: 422"; the text before it varies.
_STATUS_AT_THE_END: Final = re.compile(r"(?<!\d)([45]\d\d)\s*\Z")
_USUAL_ERROR: Final = 422


def read_callback(content: bytes) -> Callback | None:
    """Parse a callback; None if it names no request. Drops everything that the result states better."""
    match read_response(200, {}, content).body:
        case {"request_id": str(request_id), **words} if 0 < len(request_id) <= LONGEST_ID:
            match words:
                case {"status": "OK", "payload": {**payload}} if payload:
                    return Callback(request_id, payload=payload)
                case {"status": "ERROR", "payload": {**payload}} if payload:
                    return Callback(request_id, _status_of_error(words.get("error")), payload)
            return Callback(request_id)
    return None


def callback_outcome(callback: Callback) -> Succeeded | Failed | Canceled | None:
    """Return how the job ended by the callback alone, without billable units; None if the callback does not say."""
    match result_outcome(HttpResponse(callback.status, {}, callback.payload)):
        case Succeeded() | Canceled() | Failed(presumed_billed=False) as outcome:
            return outcome
    return None


def _status_of_error(text: object) -> int:
    found = _STATUS_AT_THE_END.search(text) if isinstance(text, str) else None
    return _USUAL_ERROR if found is None else int(found[1])


def _str_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and len(value) <= _LONGEST_NAME else None
