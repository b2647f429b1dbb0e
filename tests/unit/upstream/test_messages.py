"""fal's responses and their outcomes, row by row; and that no response of fal raises an exception."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any, get_args

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.domain import fal_view
from service.domain.failure import ErrorCode, Failure
from service.domain.generation import LogLine, Output, Video
from service.domain.outcomes import (
    Accepted,
    Canceled,
    CancelOutcome,
    Completed,
    Failed,
    InQueue,
    Locked,
    Missing,
    NotReady,
    NotSubmitted,
    Rejected,
    Running,
    StatusOutcome,
    SubmitOutcome,
    Succeeded,
    Unknown,
    UpstreamError,
)
from service.domain.pricing import Rates
from service.domain.status import Status
from service.store.generations.records import dump, load
from service.upstream.http_result import HttpResponse, NoHttpResponse, Wire, read_response
from service.upstream.messages import cancel_outcome, is_unknown, status_outcome, submit_outcome
from service.upstream.results import MODEL_ERRORS, result_outcome
from tests.support import factories
from tests.support.factories import NOW

HTML = b"<html><body><center><h1>502 Bad Gateway</h1></center><hr>nginx</body></html>"
LOCKED = {"detail": "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."}
REQUEST_ID = "019e161b-386c-7d33-8106-f2de1a3ff595"


def wire(status: int, body: Any = None, **headers: str) -> HttpResponse:
    """Return a response as the client returns it: JSON for data, raw bytes for bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_response(
        status, httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()}), content
    )


# --- submit -----------------------------------------------------------------------------------------------------------

ACCEPTANCE: dict[str, Any] = {
    "status": "IN_QUEUE",
    "request_id": REQUEST_ID,
    "response_url": f"https://queue.fal.run/bytedance/seedance-2.0/requests/{REQUEST_ID}",
    "logs": None,
    "metrics": {},
    "queue_position": 0,
}

SUBMITS: list[tuple[Wire, type[SubmitOutcome]]] = [
    # nothing was sent
    (NoHttpResponse(sent=False, reason="ConnectError"), NotSubmitted),
    (NoHttpResponse(sent=False, reason="ConnectTimeout"), NotSubmitted),
    (NoHttpResponse(sent=False, reason="PoolTimeout"), NotSubmitted),
    # something may have been sent
    (NoHttpResponse(sent=True, reason="ReadTimeout"), Unknown),
    (NoHttpResponse(sent=True, reason="ReadError"), Unknown),
    (NoHttpResponse(sent=True, reason="RemoteProtocolError"), Unknown),
    # 2xx
    (wire(200, ACCEPTANCE), Accepted),
    (wire(201, ACCEPTANCE), Accepted),
    (wire(202, {"request_id": REQUEST_ID}), Accepted),
    (wire(200, {"status": "IN_QUEUE"}), Unknown),
    (wire(200, {"request_id": ""}), Unknown),
    (wire(200, {"request_id": None}), Unknown),
    (wire(200, {"request_id": 7}), Unknown),
    (wire(200, [ACCEPTANCE]), Unknown),
    (wire(200, "ok"), Unknown),
    (wire(200, b""), Unknown),
    (wire(200, b'{"request_id": "019e1'), Unknown),
    (wire(200, HTML), Unknown),
    (wire(204, b""), Unknown),
    # redirects are not followed; the job's state behind them is unknown
    (wire(301, b""), Unknown),
    (wire(307, {"request_id": REQUEST_ID}), Unknown),
    # temporary refusals
    (wire(429, {"detail": "Too many requests"}), NotSubmitted),
    (wire(429, {"detail": [{"type": "concurrent_requests_limit", "msg": "limit", "loc": []}]}), NotSubmitted),
    (wire(503, {"detail": "no runners", "error_type": "runner_scheduling_failure"}), NotSubmitted),
    (wire(503, {"status": "UNAVAILABLE"}), NotSubmitted),
    (wire(429, b""), Unknown),
    (wire(429, HTML), Unknown),
    (wire(503, HTML), Unknown),
    (wire(503, {"message": "somebody else's JSON"}), Unknown),
    # the account
    (wire(401, {"detail": "invalid key credentials"}), Locked),
    (wire(401, {"detail": "bearer: unable to decode issuer"}), Locked),
    (wire(403, LOCKED), Locked),
    (wire(403, {"detail": "User is locked. Reason: TOP_UP."}), Locked),
    (wire(401, HTML), Unknown),
    (wire(403, HTML), Unknown),
    # the endpoint, the address, the call: any other request would get the same response
    (wire(402, {"detail": "Payment Required"}), NotSubmitted),
    (wire(404, {"detail": "Path /xyz not found"}), NotSubmitted),
    (wire(404, {"status": "NOT_FOUND"}), NotSubmitted),
    (wire(405, {"detail": "Method Not Allowed"}), NotSubmitted),
    (wire(406, {"detail": "Not Acceptable"}), NotSubmitted),
    (wire(409, {"detail": "Conflict"}), NotSubmitted),
    (wire(410, {"detail": "Gone"}), NotSubmitted),
    (wire(414, {"detail": "URI Too Long"}), NotSubmitted),
    (wire(415, {"detail": "Unsupported Media Type"}), NotSubmitted),
    (wire(426, {"detail": "Upgrade Required"}), NotSubmitted),
    (wire(451, {"detail": "Unavailable For Legal Reasons"}), NotSubmitted),
    (wire(402, HTML), Unknown),
    # this request
    (wire(400, {"detail": "bad", "error_type": "bad_request"}), Rejected),
    (wire(413, {"detail": "Request Entity Too Large"}), Rejected),
    (wire(422, {"detail": [{"loc": ["body", "prompt"], "msg": "field required", "type": "missing"}]}), Rejected),
    (wire(422, HTML), Unknown),
    (wire(404, HTML), Unknown),
    (wire(408, {"detail": "timeout"}), Unknown),
    # bare 5xx, from any server
    (wire(500, {"detail": "Internal Server Error"}), Unknown),
    (wire(500, {"detail": "oops", "error_type": "internal_error"}), Unknown),
    (wire(500, HTML), Unknown),
    (wire(502, HTML), Unknown),
    (wire(504, {"detail": "late", "error_type": "request_timeout"}), Unknown),
    (wire(504, HTML), Unknown),
]


@pytest.mark.parametrize(("answer", "outcome"), SUBMITS, ids=repr)
def test_submit_outcome(answer: Wire, outcome: type[SubmitOutcome]) -> None:
    assert type(submit_outcome(answer)) is outcome


@pytest.mark.parametrize("status", [status for status in range(400, 500) if status not in (400, 408, 413, 422)])
def test_submit_4xx_not_about_body_is_no_rejection(status: int) -> None:
    assert isinstance(submit_outcome(wire(status, {"detail": "No."})), NotSubmitted | Locked)


def test_submit_not_accepted_says_if_fal_refused() -> None:
    assert submit_outcome(wire(503, {"detail": "full"})) == NotSubmitted("fal answered 503: full", refused=True)
    assert submit_outcome(NoHttpResponse(sent=False, reason="ConnectError")) == NotSubmitted(
        "ConnectError", refused=False
    )


def test_submit_accepted_has_request_id() -> None:
    assert submit_outcome(wire(200, ACCEPTANCE)) == Accepted(REQUEST_ID)


def test_submit_rejection_has_detail_without_input() -> None:
    detail = [{"loc": ["body", "prompt"], "msg": "too long", "type": "string_too_long", "input": factories.PROMPT}]

    outcome = submit_outcome(wire(422, {"detail": detail}))

    assert outcome == Rejected(
        Failure(
            "upstream_rejected",
            "too long",
            detail=[{"loc": ["body", "prompt"], "msg": "too long", "type": "string_too_long"}],
        )
    )


@pytest.mark.parametrize("body", [b"", HTML, b"{}", b"[]", b"null"])
def test_submit_response_of_proxy_is_unknown(body: bytes) -> None:
    """Only a proof that fal did not accept the request may lead back to the queue."""
    outcomes = {status: submit_outcome(wire(status, body)) for status in (100, *range(200, 600), 999)}

    assert [status for status, outcome in outcomes.items() if not isinstance(outcome, Unknown)] == []


# --- status -----------------------------------------------------------------------------------------------------------

LINE = {"message": "step 1", "level": "INFO", "source": "USER", "timestamp": "2026-01-01T00:00:00.000Z"}
PARSED_LINE = LogLine("step 1", "INFO", "2026-01-01T00:00:00.000Z")

STATUSES: list[tuple[Wire, StatusOutcome]] = [
    (wire(202, {"status": "IN_QUEUE", "queue_position": 3}), InQueue(3)),
    (wire(202, {"status": "IN_QUEUE", "queue_position": 0, "logs": [LINE]}), InQueue(0, (PARSED_LINE,))),
    (wire(202, {"status": "IN_QUEUE"}), InQueue(None)),
    (wire(202, {"status": "IN_QUEUE", "queue_position": "3"}), InQueue(None)),
    (wire(200, {"status": "IN_QUEUE", "queue_position": 1}), InQueue(1)),
    (wire(202, {"status": "IN_PROGRESS", "logs": None}), Running()),
    (wire(202, {"status": "IN_PROGRESS", "logs": [LINE]}), Running((PARSED_LINE,))),
    (wire(202, {"status": "IN_PROGRESS", "logs": [None, 5, "text", LINE]}), Running((PARSED_LINE,))),
    (wire(202, {"status": "IN_PROGRESS", "logs": [{}]}), Running((LogLine("", "INFO", "1970-01-01T00:00:00.000Z"),))),
    (wire(200, {"status": "COMPLETED", "logs": [], "metrics": {"inference_time": 83.41}}), Completed()),
    (wire(202, {"status": "COMPLETED"}), Completed()),
    (
        wire(200, {"status": "COMPLETED", "error": "Request timed out", "error_type": "request_timeout"}),
        Completed(),  # the result repeats it; the fields here are optional
    ),
    # the account, not the job
    (wire(401, {"detail": "invalid key credentials"}), UpstreamError("fal answered 401", locked=True)),
    (wire(403, LOCKED), UpstreamError("fal answered 403", locked=True)),
    # any other response changes nothing
    (wire(404, {"status": "NOT_FOUND"}), Missing()),
    (wire(405, {"detail": "Method Not Allowed"}), UpstreamError("fal answered 405")),
    (wire(429, {"detail": "slow down"}), UpstreamError("fal answered 429")),
    (wire(500, {"status": "COMPLETED"}), UpstreamError("fal answered 500")),
    (wire(502, HTML), UpstreamError("fal answered 502")),
    (wire(200, HTML), UpstreamError("fal answered 200")),
    (wire(200, {"status": "FAILED"}), UpstreamError("fal answered 200")),
    (wire(200, {}), UpstreamError("fal answered 200")),
    (wire(200, ["COMPLETED"]), UpstreamError("fal answered 200")),
    (wire(200, b""), UpstreamError("fal answered 200")),
    (NoHttpResponse(sent=True, reason="ReadTimeout"), UpstreamError("ReadTimeout")),
    (NoHttpResponse(sent=False, reason="ConnectError"), UpstreamError("ConnectError")),
]


@pytest.mark.parametrize(("answer", "outcome"), STATUSES, ids=repr)
def test_status_outcome(answer: Wire, outcome: StatusOutcome) -> None:
    assert status_outcome(answer) == outcome


TIMES: list[tuple[Any, str]] = [
    ("2026-01-31T09:30:00.123Z", "2026-01-31T09:30:00.123Z"),
    ("2026-01-31T09:30:00.123456+01:00", "2026-01-31T09:30:00.123456+01:00"),
    ("2026-01-31T09:30:00.123456", "2026-01-31T09:30:00.123456+00:00"),
    ("2026-01-31 09:30:00Z", "2026-01-31T09:30:00+00:00"),
    ("2026-01-31 09:30:00+01:00", "2026-01-31T09:30:00+01:00"),
    ("2026-01-31", "2026-01-31T00:00:00+00:00"),
    ("2026-13-31T09:30:00Z", "1970-01-01T00:00:00.000Z"),
    ("yesterday", "1970-01-01T00:00:00.000Z"),
    (1769851800, "1970-01-01T00:00:00.000Z"),
    (None, "1970-01-01T00:00:00.000Z"),
]


@pytest.mark.parametrize(("sent", "read"), TIMES)
def test_log_timestamp_is_rfc_3339(sent: Any, read: str) -> None:
    outcome = status_outcome(wire(202, {"status": "IN_PROGRESS", "logs": [{"timestamp": sent}]}))

    assert outcome == Running((LogLine("", "INFO", read),))


@pytest.mark.parametrize(
    ("answer", "unknown"),
    [
        (wire(404, {"status": "NOT_FOUND"}), True),
        (wire(404, {"detail": "Path /x not found"}), False),
        (wire(404, HTML), False),
        (wire(200, {"status": "NOT_FOUND"}), False),
        (wire(403, LOCKED), False),
        (wire(202, {"status": "IN_QUEUE"}), False),
        (NoHttpResponse(sent=True, reason="ReadTimeout"), False),
    ],
    ids=repr,
)
def test_status_unknown_request_is_missing(answer: Wire, unknown: bool) -> None:
    assert is_unknown(answer) is unknown


# --- result: success --------------------------------------------------------------------------------------------------

VIDEO: dict[str, Any] = {
    "url": "https://v3b.fal.media/files/b/0a9e/abcDEF_video.mp4",
    "content_type": "video/mp4",
    "file_name": "video.mp4",
    "file_size": 3_415_926,
}


def test_result_success() -> None:
    assert result_outcome(wire(200, {"video": VIDEO, "seed": 7}, x_fal_billable_units="108")) == Succeeded(
        Output(Video(VIDEO["url"], "video/mp4", "video.mp4", 3_415_926), seed=7), Decimal(108)
    )


def test_result_success_with_url_only() -> None:
    assert result_outcome(wire(200, {"video": {"url": "https://x.test/v.mp4"}})) == Succeeded(
        Output(Video("https://x.test/v.mp4")), None
    )


@pytest.mark.parametrize("wrong", ["7", None, [7], {"a": 7}, 7.5])
def test_result_success_needs_only_valid_url(wrong: Any) -> None:
    video = {"url": "https://x.test/v.mp4", "content_type": 5, "file_name": [], "file_size": wrong}

    outcome = result_outcome(wire(200, {"video": video, "seed": wrong}))

    assert outcome == Succeeded(Output(Video("https://x.test/v.mp4")), None)


@pytest.mark.parametrize(
    "body", [{}, [], None, {"video": None}, {"video": {}}, {"video": {"url": None}}, {"video": "https://x.test"}, HTML]
)
def test_result_200_without_video_is_no_end(body: Any) -> None:
    assert result_outcome(wire(200, body)) == UpstreamError("fal answered 200")


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("108", Decimal(108)),
        ("108.5", Decimal("108.5")),
        ("0", Decimal(0)),
        ("0.0", Decimal(0)),
        ("1e2", Decimal(100)),
        ("", None),
        ("many", None),
        ("50220", Decimal(50220)),
        ("-1", Decimal(-1)),
        ("1e10", Decimal(10_000_000_000)),
        ("1e400", Decimal("1e400")),
        ("NaN", None),
        ("sNaN", None),
        ("Infinity", None),
        ("1_000", None),
        ("108 tokens", None),
        ("9" * 21, None),
        ("1e999999999", None),
        ("1e99999999999999999999", None),
        ("108, 108", None),
    ],
)
def test_billable_units_header(text: str, units: Decimal | None) -> None:
    success = result_outcome(wire(200, {"video": VIDEO}, x_fal_billable_units=text))
    failure = result_outcome(wire(422, {"detail": []}, X_Fal_Billable_Units=text))
    canceled = result_outcome(wire(499, b"", x_fal_billable_units=text))

    assert isinstance(success, Succeeded)
    assert isinstance(failure, Failed)
    assert isinstance(canceled, Canceled)
    assert success.billable_units == failure.billable_units == canceled.billable_units == units


@given(st.text() | st.decimals().map(str) | st.from_regex(r"[+-]?[0-9.]{0,25}([eE][+-]?[0-9]{0,7})?", fullmatch=True))
@example("\u0661\u0660\u0668")
@example("1e400")
def test_billable_units_any_header_settles_and_is_stored(text: str) -> None:
    g = factories.in_status(Status.IN_PROGRESS)
    outcome = result_outcome(HttpResponse(200, {"x-fal-billable-units": text}, {"video": VIDEO}))
    assert isinstance(outcome, Succeeded)
    units = outcome.billable_units

    cost = RATES.settle("720p", units, g.estimated_cost).cost
    g = g.succeeded(outcome.output, cost, NOW, units=units)

    assert 0 <= cost * 10 <= g.estimated_cost * 11
    assert load(dump(g)).billable_units == units
    assert len(fal_view.result(g).headers.get("x-fal-billable-units", "")) < 1100


def test_billable_units_without_header_are_unknown() -> None:
    assert result_outcome(wire(499, {"detail": "Request cancelled by the client."})) == Canceled(None)


# --- result: failure --------------------------------------------------------------------------------------------------

#: Every type of fal's error pages: its HTTP status, its error code here, and whether it is retryable.
MODEL_TYPES: list[tuple[str, int, ErrorCode, bool]] = [
    ("internal_server_error", 500, "upstream_unavailable", True),
    ("generation_timeout", 504, "upstream_timeout", True),
    ("downstream_service_error", 400, "upstream_unavailable", True),
    ("downstream_service_error", 500, "upstream_unavailable", True),
    ("downstream_service_unavailable", 500, "upstream_unavailable", True),
    ("content_policy_violation", 422, "content_policy", False),
    ("no_media_generated", 422, "upstream_rejected", False),
    ("image_too_small", 422, "invalid_input", False),
    ("image_too_large", 422, "invalid_input", False),
    ("image_load_error", 422, "image_unreachable", False),
    ("file_download_error", 422, "image_unreachable", False),
    ("face_detection_error", 422, "invalid_input", False),
    ("file_too_large", 422, "invalid_input", False),
    ("greater_than", 422, "invalid_input", False),
    ("greater_than_equal", 422, "invalid_input", False),
    ("less_than", 422, "invalid_input", False),
    ("less_than_equal", 422, "invalid_input", False),
    ("multiple_of", 422, "invalid_input", False),
    ("sequence_too_short", 422, "invalid_input", False),
    ("sequence_too_long", 422, "invalid_input", False),
    ("one_of", 422, "invalid_input", False),
    ("feature_not_supported", 422, "invalid_input", False),
    ("invalid_archive", 422, "invalid_input", False),
    ("archive_file_count_below_minimum", 422, "invalid_input", False),
    ("archive_file_count_exceeds_maximum", 422, "invalid_input", False),
    ("audio_duration_too_long", 422, "invalid_input", False),
    ("audio_duration_too_short", 422, "invalid_input", False),
    ("video_duration_too_long", 422, "invalid_input", False),
    ("video_duration_too_short", 422, "invalid_input", False),
    ("unsupported_audio_format", 422, "invalid_input", False),
    ("unsupported_image_format", 422, "invalid_input", False),
    ("unsupported_video_format", 422, "invalid_input", False),
    # errors of pydantic, when the input does not fit the model's schema
    ("missing", 422, "invalid_input", False),
    ("literal_error", 422, "invalid_input", False),
    ("string_type", 422, "invalid_input", False),
    ("value_error", 422, "invalid_input", False),
    # not in the table, seen in practice
    ("invalid_request", 422, "invalid_input", False),
    # unknown so far
    ("something_new", 422, "invalid_input", False),
    ("something_new", 500, "upstream_unavailable", True),
    ("something_new", 404, "upstream_rejected", False),
]
PLATFORM_TYPES: list[tuple[str, int, ErrorCode, bool]] = [
    ("request_timeout", 504, "upstream_timeout", True),
    ("startup_timeout", 504, "upstream_timeout", True),
    ("runner_scheduling_failure", 503, "upstream_unavailable", True),
    ("runner_connection_timeout", 503, "upstream_unavailable", True),
    ("runner_disconnected", 503, "upstream_unavailable", True),
    ("runner_connection_refused", 503, "upstream_unavailable", True),
    ("runner_connection_error", 503, "upstream_unavailable", True),
    ("runner_incomplete_response", 502, "upstream_unavailable", True),
    ("runner_server_error", 500, "upstream_unavailable", True),
    ("internal_error", 500, "upstream_unavailable", True),
    ("bad_request", 400, "invalid_input", False),
]


@pytest.mark.parametrize(("kind", "status", "code", "retryable"), MODEL_TYPES)
def test_result_model_errors(kind: str, status: int, code: ErrorCode, retryable: bool) -> None:
    entry = {"loc": ["body", "image_url"], "msg": "words", "type": kind, "url": f"https://docs.fal.ai/errors#{kind}"}

    outcome = result_outcome(wire(status, {"detail": [{**entry, "input": "again"}]}, x_fal_billable_units="0"))

    assert outcome == Failed(Failure(code, "words", retryable=retryable, detail=[entry]), Decimal(0))


@pytest.mark.parametrize(("kind", "status", "code", "retryable"), PLATFORM_TYPES)
@pytest.mark.parametrize("where", ["body", "header", "both"])
def test_result_platform_errors(kind: str, status: int, code: ErrorCode, retryable: bool, where: str) -> None:
    body = {"detail": "words"} if where == "header" else {"detail": "words", "error_type": kind}
    headers = {} if where == "body" else {"X_Fal_Error_Type": kind}

    outcome = result_outcome(wire(status, body, **headers))

    assert outcome == Failed(Failure(code, "words", retryable=retryable, detail="words"), None)


def test_result_every_error_type_has_a_case() -> None:
    ended_by_a_client = {"client_disconnected"}  # 499: canceled, whatever the type

    assert set(MODEL_ERRORS) - ended_by_a_client <= {kind for kind, *_ in MODEL_TYPES + PLATFORM_TYPES}
    assert set(MODEL_ERRORS.values()) <= set(get_args(ErrorCode))


def test_result_image_fetch_failure() -> None:
    message = "content[1].image_url: timeout while fetching the resource"
    detail = [{"loc": ["body"], "msg": message, "type": "invalid_request"}]

    outcome = result_outcome(wire(422, {"detail": detail}))

    assert outcome == Failed(Failure("image_unreachable", message, detail=detail), None)


def test_result_policy_violation_has_message_of_field() -> None:
    entry = {
        "loc": ["body", "image_url"],
        "type": "content_policy_violation",
        "msg": "The images or videos provided may contain likenesses of real people",
        "url": "https://docs.fal.ai/errors#content_policy_violation",
        "ctx": {"extra_info": {"reason": "partner_validation_failed"}},
    }

    outcome = result_outcome(wire(422, {"detail": [entry]}))

    assert outcome == Failed(Failure("content_policy", str(entry["msg"]), detail=[entry]), None)


@pytest.mark.parametrize(
    "body",
    [
        {"detail": "Request cancelled by the client."},
        {"detail": "gone", "error_type": "client_cancelled"},
        {"detail": "gone", "error_type": "client_disconnected"},
        b"",
        HTML,
    ],
)
def test_result_499_is_canceled(body: Any) -> None:
    assert result_outcome(wire(499, body, x_fal_billable_units="0")) == Canceled(Decimal(0))


def test_result_400_in_progress_is_no_end() -> None:
    assert result_outcome(wire(400, {"detail": "Request is still in progress"})) == NotReady()
    assert result_outcome(wire(400, {"detail": "Request is still in progress."})) == NotReady()


def test_result_other_400_is_an_end() -> None:
    assert result_outcome(wire(400, {"detail": "Bad"})) == Failed(Failure("invalid_input", "Bad", detail="Bad"), None)


def test_result_expired_may_have_been_billed() -> None:
    outcome = result_outcome(wire(404, {"status": "NOT_FOUND"}))

    assert isinstance(outcome, Failed)
    assert (outcome.failure.code, outcome.failure.retryable) == ("upstream_unavailable", True)
    assert outcome.presumed_billed
    assert outcome.billable_units is None


def test_result_wrong_path_is_not_billed() -> None:
    outcome = result_outcome(wire(404, {"detail": "Path /xyz not found"}, x_fal_billable_units="0"))

    detail = "Path /xyz not found"
    assert outcome == Failed(Failure("upstream_rejected", detail, detail=detail), Decimal(0))


@pytest.mark.parametrize(
    "answer",
    [
        # an error of the account, or an outage on the way to fal: the job continues
        wire(401, {"detail": "invalid key credentials"}),
        wire(403, LOCKED),
        wire(403, {"detail": "no", "error_type": "bad_request"}),
        wire(404, HTML),
        wire(405, {"detail": "Method Not Allowed"}),
        wire(408, {"detail": "timeout"}),
        wire(409, {"detail": "conflict"}),
        wire(425, {"detail": "early"}),
        wire(429, {"detail": "slow down"}),
        wire(429, {"detail": [{"type": "concurrent_requests_limit", "msg": "limit"}]}),
        wire(422, HTML),
        wire(500, HTML),
        wire(500, b""),
        wire(500, {"detail": "Internal Server Error"}),
        wire(502, {"message": "bad gateway"}),
        wire(503, {"detail": "Service Unavailable"}),
        wire(504, HTML),
        wire(301, b""),
        wire(202, {"status": "IN_PROGRESS"}),
        NoHttpResponse(sent=True, reason="ReadTimeout"),
        NoHttpResponse(sent=False, reason="ConnectError"),
    ],
    ids=repr,
)
def test_result_upstream_error_is_no_end(answer: Wire) -> None:
    assert isinstance(result_outcome(answer), UpstreamError)


@pytest.mark.parametrize("status", [401, 403])
def test_result_locked_account_is_distinguished(status: int) -> None:
    assert result_outcome(wire(status, LOCKED)) == UpstreamError(f"fal answered {status}", locked=True)


def test_result_long_message_is_truncated() -> None:
    outcome = result_outcome(wire(422, {"detail": "x" * 10_000}))

    assert isinstance(outcome, Failed)
    assert outcome.failure.message == "x" * 500


@pytest.mark.parametrize(
    ("detail", "message"),
    [
        ([], "fal answered 422"),
        ([5], "fal answered 422"),
        ([{}], "fal answered 422"),
        ([{"msg": 5}], "fal answered 422"),
        (None, "fal answered 422"),
        ({"msg": "words"}, "fal answered 422"),
        ([{"msg": "one", "type": "missing"}, {"msg": "two", "type": "content_policy_violation"}], "one"),
    ],
)
def test_result_any_detail_is_a_failure_with_message(detail: Any, message: str) -> None:
    outcome = result_outcome(wire(422, {"detail": detail}))

    assert isinstance(outcome, Failed)
    assert (outcome.failure.code, outcome.failure.message) == ("invalid_input", message)


# --- cancel -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (wire(202, {"status": "CANCELLATION_REQUESTED"}), "requested"),
        (wire(200, {"status": "OK"}), "requested"),
        (wire(200, {"success": True}), "requested"),
        (wire(204, b""), "requested"),
        (wire(400, {"status": "ALREADY_COMPLETED"}), "too_late"),
        (wire(404, {"status": "NOT_FOUND"}), "too_late"),
        (wire(401, {"detail": "invalid key credentials"}), "trouble"),
        (wire(403, LOCKED), "trouble"),
        (wire(405, {"detail": "Method Not Allowed"}), "trouble"),
        (wire(429, {"detail": "slow down"}), "trouble"),
        (wire(500, HTML), "trouble"),
        (wire(503, {"detail": "no"}), "trouble"),
        (wire(302, b""), "trouble"),
        (NoHttpResponse(sent=True, reason="ReadTimeout"), "trouble"),
        (NoHttpResponse(sent=False, reason="ConnectError"), "trouble"),
    ],
    ids=repr,
)
def test_cancel_outcome(answer: Wire, outcome: CancelOutcome) -> None:
    assert cancel_outcome(answer) == outcome


# --- whatever fal says ------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        "IN_QUEUE",
        "IN_PROGRESS",
        "COMPLETED",
        "NOT_FOUND",
        "content_policy_violation",
        "invalid_request",
        "bad_request",
        "Request is still in progress",
        "https://x.test/v.mp4",
        "\ud800",
        "\x00",
    ]
)
NAMES = st.sampled_from(
    ["status", "request_id", "detail", "error_type", "type", "msg", "video", "url", "seed", "logs", "queue_position"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
HEADERS = st.dictionaries(
    st.sampled_from(["x-fal-billable-units", "x-fal-error-type"]),
    st.sampled_from(["0", "108", "1e999999", "NaN", "bad_request", ""]),
)
STATUS_CODES = st.sampled_from([200, 202, 301, 400, 401, 403, 404, 422, 429, 499, 500, 502, 503, 504]) | st.integers(
    100, 999
)
REPLIES = st.builds(HttpResponse, STATUS_CODES, HEADERS, VALUES)
RATES = Rates(dict.fromkeys(("480p", "720p", "1080p", "4k"), Decimal("0.014")))


@given(REPLIES)
@example(HttpResponse(422, {}, {"detail": [[]]}))
@example(HttpResponse(200, {}, {"video": {"url": "x", "file_size": True}, "seed": False}))
def test_outcomes_any_response_never_raises(answer: HttpResponse) -> None:
    for translate in (submit_outcome, status_outcome, result_outcome, cancel_outcome):
        assert translate(answer) is not None


@given(STATUS_CODES, HEADERS, st.binary(max_size=200))
@example(200, {}, b"[" * 100_000)
@example(200, {}, b'{"seed": ' + b"9" * 5000 + b"}")
@example(200, {}, b'"\\ud800"')
@example(200, {}, b'"\xed\xa0\x80"')
@example(200, {}, b"\xff\xfe{\x00}\x00")
def test_parse_any_bytes_never_raises(status: int, headers: dict[str, str], content: bytes) -> None:
    assert read_response(status, headers, content).status == status


@pytest.mark.parametrize("content", [HTML, b"", b"{", b"[" * 100_000, b"\xff"])
def test_parse_invalid_json_has_no_body(content: bytes) -> None:
    assert read_response(200, {}, content).body is None


@given(STATUS_CODES, HEADERS, VALUES)
@example(422, {}, {"detail": "\ud800"})
@example(422, {}, {"detail": [{"msg": "\udfff \\ud800", "type": "x", "ctx": {"\ud800": "\ud800"}}]})
def test_outcome_any_end_round_trip(status: int, headers: dict[str, str], body: Any) -> None:
    """Otherwise the generation would be polled, and fail to be saved, forever."""
    g = factories.in_status(Status.IN_PROGRESS)
    match result_outcome(read_response(status, headers, json.dumps(body).encode())):
        case Succeeded(output, units):
            g = g.succeeded(output, RATES.settle("720p", units, g.estimated_cost).cost, NOW)
        case Failed(failure, units):
            g = g.failed(failure, RATES.settle("720p", units, g.estimated_cost).cost, NOW)

    assert load(dump(g)) == replace(g, created_at=g.created_at)


@pytest.mark.parametrize(
    "content",
    [
        b'{"detail": "\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"detail": "\xed\xa0\x80"}',
        '{"detail": "\\ud800"}'.encode("utf-16"),
        '{"detail": "\ud800"}'.encode("utf-16-le", errors="surrogatepass"),
    ],
)
def test_parse_any_encoding_is_storable(content: bytes) -> None:
    outcome = result_outcome(read_response(422, {}, content))
    if isinstance(outcome, Failed):
        g = factories.in_status(Status.IN_PROGRESS).failed(outcome.failure, 0, NOW)
        assert load(dump(g)) == g


@given(VALUES)
@example([{"message": "\ud800"}])
def test_status_any_log_is_storable(logs: Any) -> None:
    answer = read_response(202, {}, json.dumps({"status": "IN_PROGRESS", "logs": logs}).encode())

    outcome = status_outcome(answer)

    assert isinstance(outcome, Running)
    g = factories.in_status(Status.IN_PROGRESS).polled(position=None, logs=outcome.logs)
    assert load(dump(g)) == g


def test_parse_nan_and_infinity_are_none() -> None:
    assert read_response(200, {}, b'{"seed": NaN, "a": [Infinity, -Infinity]}').body == {
        "seed": None,
        "a": [None, None],
    }


@pytest.mark.parametrize("depth", [50, 62, 63, 64, 100, 150, 300, 900])
def test_parse_any_depth_is_storable_or_none(depth: int) -> None:
    """Otherwise the generation would be polled, and fail to be saved, forever."""
    answer = read_response(422, {}, b'{"detail":' + b"[" * depth + b"]" * depth + b"}")

    outcome = result_outcome(answer)

    assert isinstance(outcome, Failed) == (depth < 64)
    if isinstance(outcome, Failed):
        g = factories.in_status(Status.IN_PROGRESS).failed(outcome.failure, 0, NOW)
        assert load(dump(g)) == g
