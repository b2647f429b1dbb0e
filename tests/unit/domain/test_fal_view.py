"""A generation in fal's format, in every status and at every end."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_args

import pytest
from pydantic_core import from_json

from service.domain import fal_view
from service.domain.failure import ErrorCode, Failure
from service.domain.generation import Generation, Output, Video
from service.domain.outcomes import Failed
from service.domain.status import Status
from service.upstream.http_result import HttpResponse
from service.upstream.results import result_outcome
from tests.support import factories
from tests.support.factories import NOW

URL = "https://gateway.example/fal/queue/bytedance/seedance-2.0/requests/gen_1"


def failed(failure: Failure, units: Decimal | None = None) -> Generation:
    return factories.in_status(Status.IN_PROGRESS).failed(failure, 0, NOW, units=units)


# --- status ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "state"),
    [
        (Status.QUEUED, 202, "IN_QUEUE"),
        (Status.SUBMITTING, 202, "IN_QUEUE"),
        (Status.SUBMITTED, 202, "IN_QUEUE"),
        (Status.UNCONFIRMED, 202, "IN_PROGRESS"),
        (Status.IN_PROGRESS, 202, "IN_PROGRESS"),
        (Status.COPYING, 202, "IN_PROGRESS"),
        (Status.SUCCEEDED, 200, "COMPLETED"),
        (Status.FAILED, 200, "COMPLETED"),
        (Status.CANCELED, 200, "COMPLETED"),
    ],
)
def test_fal_status_of_each_status(status: Status, code: int, state: str) -> None:
    g = factories.in_status(status)
    found, body = fal_view.status(g, URL, None, with_logs=False)
    assert (found, body["status"], body["logs"]) == (code, state, None)
    assert ("queue_position" in body) is (state == "IN_QUEUE")
    assert ("metrics" in body) is (code == 200)
    links = {name: body[name] for name in ("request_id", "response_url", "status_url", "cancel_url")}
    assert links == {
        "request_id": g.id,
        "response_url": URL,
        "status_url": f"{URL}/status",
        "cancel_url": f"{URL}/cancel",
    }


@pytest.mark.parametrize(("own", "fals", "received"), [(7, None, 7), (None, 3, 3), (None, None, 0), (0, 5, 0)])
def test_fal_status_position_is_of_the_gateway_first(own: int | None, fals: int | None, received: int) -> None:
    g = replace(factories.in_status(Status.SUBMITTED), upstream_position=fals)
    assert fal_view.status(g, URL, own, with_logs=False)[1]["queue_position"] == received


def test_fal_status_has_logs_on_request() -> None:
    g = replace(factories.in_status(Status.IN_PROGRESS), logs=(factories.log_line("step 1"),))
    (line,) = fal_view.status(g, URL, None, with_logs=True)[1]["logs"]
    assert line == {"message": "step 1", "level": "INFO", "source": "USER", "timestamp": "2026-01-31T09:30:00.000Z"}


def test_fal_status_of_an_end_has_the_inference_time() -> None:
    g = factories.in_status(Status.IN_PROGRESS)
    assert g.started_at is not None
    ended = g.succeeded(factories.output(), 1, g.started_at + timedelta(seconds=83.5))
    assert fal_view.status(ended, URL, None, with_logs=False)[1]["metrics"] == {"inference_time": 83.5}


def test_fal_status_of_a_failure_has_its_error() -> None:
    policy = failed(Failure("content_policy", "No.", detail=[{"type": "content_policy_violation", "msg": "No."}]))
    canceled = factories.in_status(Status.CANCELED)
    received = [fal_view.status(g, URL, None, with_logs=False)[1] for g in (policy, canceled)]
    assert [(body["error"], body["error_type"]) for body in received] == [
        ("No.", "content_policy_violation"),
        (fal_view.CANCELED, "client_cancelled"),
    ]


def test_fal_submit_response_is_in_queue() -> None:
    g = factories.generation()
    assert fal_view.submitted(g, URL, 3) == {
        "status": "IN_QUEUE",
        "request_id": g.id,
        "response_url": URL,
        "status_url": f"{URL}/status",
        "cancel_url": f"{URL}/cancel",
        "logs": None,
        "metrics": {},
        "queue_position": 3,
    }


def test_fal_status_of_an_end_before_the_start_has_no_time() -> None:
    never_started = factories.generation().failed(Failure("expired", "It waited too long."), 0, NOW)
    body = fal_view.status(never_started, URL, None, with_logs=False)[1]
    assert (body["metrics"], body["error"], body["error_type"]) == ({}, "It waited too long.", "request_timeout")
    assert "error" not in fal_view.status(factories.in_status(Status.SUCCEEDED), URL, None, with_logs=False)[1]


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Failure("upstream_rejected", "No.", detail=[{"type": "one"}, {"type": "two"}], upstream_type="other"), "one"),
        (Failure("upstream_rejected", "No.", detail=[{"msg": "No."}], upstream_type="other"), "other"),
        (Failure("upstream_rejected", "No.", detail=[]), "invalid_request"),
    ],
)
def test_fal_status_error_type_is_of_the_detail_first(failure: Failure, kind: str) -> None:
    assert fal_view.status(failed(failure), URL, None, with_logs=False)[1]["error_type"] == kind


# --- result ----------------------------------------------------------------------------------------------------------


def test_fal_result_of_success_has_output_and_units() -> None:
    g = factories.in_status(Status.IN_PROGRESS).succeeded(factories.output(), 1, NOW, units=Decimal("108.00"))
    ended = fal_view.result(g)
    assert ended.status == 200
    assert ended.body == {
        "video": {
            "url": "https://v3b.fal.media/files/b/0a9e/video.mp4",
            "content_type": "video/mp4",
            "file_name": "video.mp4",
            "file_size": 3_415_926,
        },
        "seed": 1_234_567,
    }
    assert ended.headers == {"x-fal-billable-units": "108"}


@pytest.mark.parametrize("status", [s for s in Status if not factories.in_status(s).is_terminal])
def test_fal_result_before_the_end_is_400(status: Status) -> None:
    ended = fal_view.result(factories.in_status(status))
    assert (ended.status, ended.body) == (400, {"detail": "Request is still in progress"})


def test_fal_result_of_canceled_is_499() -> None:
    ended = fal_view.result(factories.in_status(Status.CANCELED))
    assert (ended.status, ended.body["detail"]) == (499, "Request cancelled by the client.")
    assert ended.headers == {"x-fal-billable-units": "0", "x-fal-error-type": "client_cancelled"}


def test_fal_result_of_draft_names_the_generation() -> None:
    g = factories.in_status(Status.SUCCEEDED)
    assert g.output is not None
    draft = replace(g, output=replace(g.output, draft_id="draft-of-fal"))
    assert fal_view.result(draft).body == {**fal_view.result(g).body, "draft_id": g.id}


def test_fal_result_of_erased_is_404() -> None:
    g = replace(factories.in_status(Status.SUCCEEDED), erased=True, output=None)
    assert (fal_view.result(g).status, fal_view.result(g).body) == (404, {"status": "NOT_FOUND"})


MODEL_ERROR = {"loc": ["body", "image_url"], "msg": "real people", "type": "content_policy_violation", "ctx": {"a": 1}}


@pytest.mark.parametrize(
    ("status", "body", "headers", "received"),
    [
        (422, {"detail": [MODEL_ERROR]}, {}, {"detail": [MODEL_ERROR]}),
        (500, {"detail": [{**MODEL_ERROR, "type": "internal_server_error"}]}, {}, ...),
        (400, {"detail": "Cannot do that"}, {}, {"detail": "Cannot do that"}),
        (404, {"detail": "Path /x not found"}, {}, {"detail": "Path /x not found"}),
        (504, {"detail": "Too late", "error_type": "request_timeout"}, {}, ...),
        (503, {"detail": "x"}, {"x-fal-error-type": "runner_disconnected"}, {"detail": "x", "error_type": ...}),
    ],
)
def test_fal_result_of_a_fal_error_is_unchanged(
    status: int, body: dict[str, Any], headers: dict[str, str], received: Any
) -> None:
    """From fal's response through the record to the response that the caller receives."""
    outcome = result_outcome(HttpResponse(status, headers, body))
    assert isinstance(outcome, Failed)
    ended = fal_view.result(failed(outcome.failure, outcome.billable_units))
    assert ended.status == status
    expected = body if received is ... else received
    kind = headers.get("x-fal-error-type") or body.get("error_type")
    assert ended.body == {name: kind if part is ... else part for name, part in expected.items()}
    assert ended.headers.get("x-fal-error-type") == kind
    assert ended.headers["x-fal-billable-units"] == "0"


@pytest.mark.parametrize("code", get_args(ErrorCode))
def test_fal_result_of_a_gateway_error_has_fals_form(code: ErrorCode) -> None:
    ended = fal_view.result(failed(Failure(code, "text")))
    detail = ended.body["detail"]
    if isinstance(detail, str):
        assert (detail, ended.status >= 500) == ("text", True)
        assert ended.body["error_type"] == ended.headers["x-fal-error-type"]
    else:
        assert (ended.status, detail[0]["msg"], detail[0]["loc"][0]) == (422, "text", "body")


@pytest.mark.parametrize(
    ("code", "status", "kind", "location"),
    [
        ("content_policy", 422, "content_policy_violation", ["body", "prompt"]),
        ("invalid_input", 422, "value_error", ["body"]),
        ("image_unreachable", 422, "file_download_error", ["body", "image_url"]),
        ("upstream_rejected", 422, "invalid_request", ["body"]),
        ("upstream_timeout", 504, "request_timeout", None),
        ("upstream_unavailable", 500, "internal_error", None),
        ("submission_unconfirmed", 500, "internal_error", None),
        ("internal", 500, "internal_error", None),
    ],
)
def test_fal_result_of_each_gateway_error(code: ErrorCode, status: int, kind: str, location: list[str] | None) -> None:
    ended = fal_view.result(failed(Failure(code, "text"), Decimal("1.50")))
    if location is None:
        body: Any = {"detail": "text", "error_type": kind}
    else:
        entry = {"loc": location, "msg": "text", "type": kind, "url": f"https://docs.fal.ai/errors#{kind}"}
        body = {"detail": [entry]}
    assert (ended.status, ended.body) == (status, body)
    assert ended.headers == {"x-fal-billable-units": "1.5"} | ({} if location else {"x-fal-error-type": kind})


def test_fal_result_of_a_video_at_fal_has_only_known_parts() -> None:
    output = Output(Video("https://x.test/v.mp4"))
    ended = fal_view.result(factories.in_status(Status.IN_PROGRESS).succeeded(output, 1, NOW))
    assert (ended.body, ended.headers) == ({"video": {"url": "https://x.test/v.mp4"}, "seed": None}, {})


def test_fal_result_of_a_stored_video_has_fals_url() -> None:
    output = Output(Video("https://gateway.example/v", source="https://x.test/v.mp4"))
    ended = fal_view.result(factories.in_status(Status.IN_PROGRESS).succeeded(output, 1, NOW))
    assert ended.body["video"]["url"] == "https://x.test/v.mp4"


def test_fal_result_of_canceled_has_its_units() -> None:
    g = factories.in_status(Status.IN_PROGRESS).canceled(7, NOW, units=Decimal(100))
    assert fal_view.result(g).headers["x-fal-billable-units"] == "100"


@pytest.mark.parametrize("kind", ["", "two types", "a\r\nx: y", "a" * 101])
def test_fal_error_type_of_another_form_is_no_header(kind: str) -> None:
    ended = fal_view.result(failed(Failure("upstream_rejected", "No.", upstream_status=409, upstream_type=kind)))
    assert (ended.status, ended.body) == (409, {"detail": "No.", "error_type": kind})
    assert ended.headers == {"x-fal-billable-units": "0"}


def test_fal_result_of_expired_is_not_retried() -> None:
    ended = fal_view.result(failed(Failure("expired", "It waited too long.")))
    assert (ended.status, ended.headers["x-fal-request-timeout-type"]) == (504, "user")


# --- webhook ---------------------------------------------------------------------------------------------------------


def test_fal_webhook_has_the_body_of_the_result() -> None:
    g = factories.in_status(Status.SUCCEEDED)
    assert from_json(fal_view.webhook(g)) == {
        "request_id": g.id,
        "gateway_request_id": g.id,
        "status": "OK",
        "payload": fal_view.result(g).body,
    }
    bad = failed(Failure("content_policy", "No.", detail=[MODEL_ERROR], upstream_status=422))
    received = from_json(fal_view.webhook(bad))
    assert (received["status"], received["error"]) == ("ERROR", "Invalid status code: 422")
    assert received["payload"] == {"detail": [MODEL_ERROR]}
