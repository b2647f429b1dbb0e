"""Each status of a generation as OpenAI's video object."""

from datetime import timedelta
from typing import Any

import pytest

from service.api.dialects.openai.view import video
from service.api.dialects.pacing import poll_after
from service.domain.generation_view import QueueView
from service.domain.status import Status
from tests.support import factories
from tests.support.factories import NOW

DAY = timedelta(days=1)
STATES = {
    Status.QUEUED: ("queued", 0),
    Status.SUBMITTING: ("in_progress", 5),
    Status.UNCONFIRMED: ("in_progress", 5),
    Status.SUBMITTED: ("in_progress", 5),
    Status.IN_PROGRESS: ("in_progress", 50),
    Status.COPYING: ("in_progress", 95),
    Status.SUCCEEDED: ("completed", 100),
    Status.FAILED: ("failed", 50),
    Status.CANCELED: ("failed", 0),
}


@pytest.mark.parametrize("status", Status)
def test_status_and_progress(status: Status) -> None:
    g = factories.in_status(status)
    shown = video(g, DAY)
    assert (shown["status"], shown["progress"]) == STATES[status]
    assert (shown["completed_at"] is not None) == g.is_terminal
    assert (shown["error"] is not None) == (shown["status"] == "failed")
    assert shown["created_at"] == int(NOW.timestamp())


def test_expiry_is_the_retention_of_tenant_or_deployment() -> None:
    end = int((NOW + timedelta(seconds=1)).timestamp())
    assert video(factories.in_status(Status.SUCCEEDED), DAY)["expires_at"] == end + 86_400
    own = factories.in_status(Status.SUCCEEDED, retention=timedelta(hours=1))
    assert video(own, DAY)["expires_at"] == end + 3_600
    assert video(factories.in_status(Status.FAILED), DAY)["expires_at"] is None


def test_size_without_ratio_is_the_resolution() -> None:
    assert video(factories.generation(), DAY)["size"] == "720p"


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        (None, 2.0),
        ({"position": 0, "estimated_start_seconds": 0.0, "hold_reason": None}, 1.0),
        ({"position": 0, "estimated_start_seconds": 3.5, "hold_reason": None}, 3.5),
        ({"position": 9, "estimated_start_seconds": 600.0, "hold_reason": None}, 5.0),
        ({"position": 9, "estimated_start_seconds": None, "hold_reason": "paused"}, 5.0),
    ],
)
def test_poll_interval(queue: QueueView | None, expected: float) -> None:
    assert poll_after(factories.generation(), queue) == expected
    assert poll_after(factories.in_status(Status.SUCCEEDED), queue) is None


def test_error_has_the_code_of_v1() -> None:
    failed: Any = video(factories.in_status(Status.FAILED), DAY)["error"]
    assert failed["code"] == factories.failure().code
