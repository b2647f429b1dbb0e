"""Bounds of what is read from fal's responses, and the texts of the outcomes."""

from typing import Any

import pytest

from service.domain.failure import Failure
from service.domain.generation import LogLine
from service.domain.outcomes import (
    Accepted,
    CancelOutcome,
    InQueue,
    Locked,
    NotSubmitted,
    Rejected,
    Running,
    Succeeded,
    Unknown,
    UpstreamError,
)
from service.upstream.http_result import HttpResponse, NoHttpResponse
from service.upstream.messages import (
    LONGEST_ID,
    cancel_outcome,
    detail_of,
    message_of,
    status_outcome,
    submit_outcome,
)
from service.upstream.results import result_outcome


def reply(status: int, body: Any = None) -> HttpResponse:
    return HttpResponse(status, {}, body)


@pytest.mark.parametrize(("status", "accepted"), [(199, False), (200, True), (299, True), (300, False)])
def test_submit_is_accepted_by_2xx_alone(status: int, accepted: bool) -> None:
    assert isinstance(submit_outcome(reply(status, {"request_id": "a"})), Accepted) is accepted


@pytest.mark.parametrize(("length", "accepted"), [(0, False), (1, True), (LONGEST_ID, True), (LONGEST_ID + 1, False)])
def test_submit_request_id_is_bounded(length: int, accepted: bool) -> None:
    assert isinstance(submit_outcome(reply(200, {"request_id": "a" * length})), Accepted) is accepted


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (NoHttpResponse(sent=True, reason="ReadTimeout"), Unknown("ReadTimeout")),
        (NoHttpResponse(sent=False, reason="ConnectError"), NotSubmitted("ConnectError")),
        (reply(500), Unknown("fal answered 500 without a request id")),
        (reply(200, {"request_id": ""}), Unknown("fal answered 200 without a request id")),
        (reply(401, {"detail": "no key"}), Locked("fal answered 401: no key")),
        (reply(403, {"status": "LOCKED"}), Locked("fal answered 403: fal answered 403")),
        (reply(499, {"detail": "no"}), NotSubmitted("fal answered 499: no", refused=True)),
        (reply(503, {"status": "FULL"}), NotSubmitted("fal answered 503: fal answered 503", refused=True)),
    ],
    ids=repr,
)
def test_submit_outcome_has_a_reason(answer: Any, outcome: Any) -> None:
    assert submit_outcome(answer) == outcome


@pytest.mark.parametrize("status", [400, 413, 422])
def test_submit_rejection_has_message_detail_and_status(status: int) -> None:
    outcome = submit_outcome(reply(status, {"detail": "too long"}))

    assert outcome == Rejected(Failure("upstream_rejected", "too long", detail="too long"))
    assert isinstance(outcome, Rejected)
    assert outcome.failure.upstream_status == status


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(199, "trouble"), (200, "requested"), (299, "requested"), (300, "trouble"), (400, "too_late"), (404, "too_late")],
)
def test_cancel_outcome_is_requested_by_2xx_alone(status: int, outcome: CancelOutcome) -> None:
    assert cancel_outcome(reply(status)) == outcome


@pytest.mark.parametrize("status", [199, 200, 201, 202, 203, 204])
@pytest.mark.parametrize("state", ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"])
def test_status_is_read_from_200_and_202_alone(state: str, status: int) -> None:
    outcome = status_outcome(reply(status, {"status": state}))

    assert isinstance(outcome, UpstreamError) is (status not in (200, 202))


@pytest.mark.parametrize("detail", ["x" * 501, [{"msg": "x" * 501}, {"msg": "other"}]])
def test_message_has_500_characters_at_most(detail: Any) -> None:
    assert message_of(reply(422, {"detail": detail})) == "x" * 500


@pytest.mark.parametrize("length", [32_766, 32_767])
def test_detail_beyond_32768_bytes_of_json_is_none(length: int) -> None:
    """The quotes count."""
    text = "x" * length
    assert detail_of(reply(422, {"detail": text})) == (text if length == 32_766 else None)
    assert detail_of(reply(422, {"detail": [text[2:]]})) == ([text[2:]] if length == 32_766 else None)


def test_detail_has_each_item_without_its_input() -> None:
    body = {"detail": [{"msg": "a", "input": "secret"}, "text", {"ctx": {"input": 1}}]}
    assert detail_of(reply(422, body)) == [{"msg": "a"}, "text", {"ctx": {"input": 1}}]


@pytest.mark.parametrize("body", [None, {}, {"status": "NOT_FOUND"}, ["detail"]])
def test_detail_of_a_body_without_detail_is_none(body: Any) -> None:
    assert detail_of(reply(422, body)) is None


def test_log_line_parts_are_truncated() -> None:
    logs = [{"message": "m" * 2_001, "level": "l" * 65, "timestamp": "2026-01-31T09:30:00." + "1" * 44 + "Z"}]

    outcome = status_outcome(reply(202, {"status": "IN_PROGRESS", "logs": logs}))

    assert outcome == Running((LogLine("m" * 2_000, "l" * 64, "2026-01-31T09:30:00.111111+00:00"),))


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (0, 0),
        (-7, -7),
        (2**53 - 1, 2**53 - 1),
        (1 - 2**53, 1 - 2**53),
        (2**53, None),
        (-(2**53), None),
        (True, None),
        (False, None),
        (1.0, None),
        ("1", None),
        (None, None),
        ([1], None),
    ],
)
def test_integers_of_fal_are_exact_or_none(value: Any, read: int | None) -> None:
    queued = status_outcome(reply(202, {"status": "IN_QUEUE", "queue_position": value}))
    assert repr(queued) == repr(InQueue(read)), "repr, because True equals 1"

    result = result_outcome(reply(200, {"video": {"url": "https://x.test", "file_size": value}, "seed": value}))
    assert isinstance(result, Succeeded)
    assert repr((result.output.video.file_size, result.output.seed)) == repr((read, read))
