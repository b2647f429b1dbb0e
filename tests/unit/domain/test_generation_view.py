"""The generation object of the API: its keys, its types, and what it never contains."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from service.domain import generation_view
from service.domain.failure import ErrorCode
from service.domain.generation import Generation
from service.domain.generation_view import EventView, GenerationView, event, public, rfc3339
from service.domain.status import Status
from tests.support import factories
from tests.support.factories import NOW

#: Written out: an added or removed field changes the public API.
KEYS = [
    "id",
    "object",
    "status",
    "model",
    "input",
    "end_user_id",
    "metadata",
    "webhook_url",
    "priority",
    "queue",
    "cost",
    "draft",
    "completes",
    "output",
    "error",
    "logs",
    "fal_request_id",
    "created_at",
    "submitted_at",
    "started_at",
    "finished_at",
    "cancel_requested_at",
    "expires_at",
]


def checked(shape: type, content: Any) -> Any:
    """Convert to JSON and strictly back into the type of the OpenAPI document, which must have every field."""
    return TypeAdapter[Any](shape).validate_json(to_json(content), strict=True)


@pytest.fixture(params=list(Status))
def g(request: pytest.FixtureRequest) -> Generation:
    return factories.in_status(request.param, metadata={"order": "42"}, webhook_url="https://example.com/hook")


def test_view_has_exactly_the_documented_keys(g: Generation) -> None:
    assert list(public(g)) == KEYS
    assert set(get_type_hints(GenerationView)) == set(KEYS)


def test_view_matches_its_declared_type(g: Generation) -> None:
    assert checked(GenerationView, public(g)) == public(g)


def test_event_has_the_same_object(g: Generation) -> None:
    sent = event(f"generation.{g.public_status}", g, NOW)

    assert list(sent) == ["type", "timestamp", "data"]
    assert sent["data"] == public(g)
    assert sent["timestamp"] == "2026-01-31T09:30:00.000Z"
    assert checked(EventView, sent) == sent


def test_view_of_copying_is_in_progress() -> None:
    g = factories.in_status(Status.COPYING)

    shown = public(g)

    assert (shown["status"], shown["output"], shown["cost"]["actual"]) == ("in_progress", None, None)
    assert "copying" not in to_json(shown).decode()


def test_view_has_no_internal_data(g: Generation) -> None:
    shown = to_json(public(g)).decode()

    assert g.callback_token not in shown
    assert g.end_user not in shown, "only the gateway and fal know the pseudonym"
    assert g.fingerprint not in shown
    assert g.tenant_id not in shown


def test_view_of_succeeded() -> None:
    shown = public(factories.in_status(Status.SUCCEEDED, estimated_cost=4_576_975))

    assert shown["output"] == {
        "video": {
            "url": "https://v3b.fal.media/files/b/0a9e/video.mp4",
            "content_type": "video/mp4",
            "file_name": "video.mp4",
            "file_size": 3_415_926,
        },
        "seed": 1_234_567,
    }
    assert shown["cost"] == {"currency": "USD", "estimated": "4.576975", "actual": "1.512000"}
    assert shown["error"] is None
    assert shown["started_at"] == shown["submitted_at"] == "2026-01-31T09:30:01.000Z"


def test_view_of_failed() -> None:
    failed = factories.in_status(Status.IN_PROGRESS).failed(
        factories.failure(detail=[{"type": "content_policy_violation"}]), 0, NOW
    )

    shown = public(failed)

    assert shown["error"] == {
        "code": "content_policy",
        "message": "The picture may show a real person.",
        "retryable": False,
        "detail": [{"type": "content_policy_violation"}],
    }
    assert (shown["output"], shown["cost"]["actual"]) == (None, "0.000000")


def test_view_of_queued_has_only_the_request() -> None:
    shown = public(factories.generation())

    assert [name for name, value in shown.items() if value is None] == [
        "webhook_url",
        "queue",
        "draft",
        "completes",
        "output",
        "error",
        "fal_request_id",
        "submitted_at",
        "started_at",
        "finished_at",
        "cancel_requested_at",
    ]
    assert (shown["status"], shown["cost"]["actual"], shown["logs"]) == ("queued", None, [])


def test_view_has_each_field_of_the_record() -> None:
    moments = [NOW + timedelta(hours=hours) for hours in range(6)]
    texts = [f"2026-01-31T{hour}:30:00.000Z" for hour in ("09", "10", "11", "12", "13", "14")]
    g = factories.generation(
        id="gen_1",
        model="a/b",
        end_user_id="customer-9",
        metadata={"order": "42"},
        webhook_url="https://example.com/hook",
        priority=4,
        request_id="request-1",
        created_at=moments[0],
        submitted_at=moments[1],
        started_at=moments[2],
        finished_at=moments[3],
        cancel_requested_at=moments[4],
        expires_at=moments[5],
    )

    shown = public(g)

    assert [shown[name] for name in KEYS if name.endswith("_at")] == texts  # type: ignore[literal-required]
    assert (shown["id"], shown["object"], shown["model"], shown["priority"]) == ("gen_1", "generation", "a/b", 4)
    assert (shown["end_user_id"], shown["metadata"]) == ("customer-9", {"order": "42"})
    assert (shown["webhook_url"], shown["fal_request_id"]) == ("https://example.com/hook", "request-1")
    assert shown["input"] == g.input


def test_view_has_the_queue_position_of_fal() -> None:
    waiting = factories.in_status(Status.SUBMITTED).polled(position=4, logs=())

    assert public(waiting)["queue"] == {"position": 4, "estimated_start_seconds": None, "hold_reason": None}


def test_view_queue_is_of_the_gateway_first() -> None:
    own: generation_view.QueueView = {"position": 9, "estimated_start_seconds": 31.5, "hold_reason": None}

    assert public(factories.generation(upstream_position=4), own)["queue"] == own


def test_view_has_logs() -> None:
    g = factories.in_status(Status.IN_PROGRESS).polled(position=None, logs=(factories.log_line("hello"),))

    assert public(g)["logs"] == [{"message": "hello", "level": "INFO", "timestamp": "2026-01-31T09:30:00.000Z"}]


def test_error_codes_are_the_documented_ones() -> None:
    assert set(get_args(ErrorCode)) == {
        "content_policy",
        "invalid_input",
        "image_unreachable",
        "upstream_rejected",
        "upstream_timeout",
        "upstream_unavailable",
        "submission_unconfirmed",
        "expired",
        "internal",
    }


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 31, 9, 30, tzinfo=UTC), "2026-01-31T09:30:00.000Z"),
        (datetime(2026, 12, 1, 23, 59, 59, 999_999, tzinfo=UTC), "2026-12-01T23:59:59.999Z"),
        (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=7), "2026-01-01T00:00:00.007Z"),
    ],
)
def test_rfc3339_is_utc_with_milliseconds(moment: datetime, text: str) -> None:
    assert rfc3339(moment) == text
    assert from_json(to_json({"at": rfc3339(moment)})) == {"at": text}


@pytest.mark.parametrize(
    "end",
    [
        lambda g: g.canceled(0, NOW),
        lambda g: g.failed(factories.failure(), 0, NOW),
        lambda g: g.started(NOW).succeeded(factories.output(), 0, NOW),
    ],
    ids=["canceled", "failed", "succeeded"],
)
def test_generation_ended_in_the_queue_of_fal_has_no_queue(end: Callable[[Generation], Generation]) -> None:
    waiting = factories.in_status(Status.SUBMITTED).polled(position=3, logs=())
    assert public(waiting)["queue"] == {"position": 3, "estimated_start_seconds": None, "hold_reason": None}
    assert public(end(waiting))["queue"] is None


@pytest.mark.parametrize(
    ("status", "draft_id", "shown"),
    [
        (Status.SUCCEEDED, "d-7", {"completable_until": "2026-02-07T09:30:01.000Z"}),
        (Status.SUCCEEDED, None, {"completable_until": None}),  # fal sent no id of the draft
        (Status.QUEUED, "d-7", {"completable_until": None}),
    ],
)
def test_view_of_a_draft_has_its_window(status: Status, draft_id: str | None, shown: dict[str, str | None]) -> None:
    g = factories.in_status(status, input={"draft": True})
    if g.output is not None:
        g = replace(g, output=replace(g.output, draft_id=draft_id))

    assert public(g)["draft"] == shown


def test_view_of_a_completion_names_its_draft() -> None:
    assert public(factories.generation(completes="gen_1"))["completes"] == "gen_1"
