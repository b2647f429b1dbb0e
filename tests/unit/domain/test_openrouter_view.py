"""A generation in OpenRouter's format, in every status and at every end."""

from dataclasses import replace
from typing import Any, get_args

import pytest
from pydantic_core import from_json

from service.domain import openrouter_view
from service.domain.failure import ErrorCode, Failure
from service.domain.generation import Generation
from service.domain.status import Status
from tests.support import factories
from tests.support.factories import NOW

URL = "https://gateway.example/base"
STATES: dict[Status, str] = {
    Status.QUEUED: "pending",
    Status.SUBMITTING: "pending",
    Status.SUBMITTED: "pending",
    Status.UNCONFIRMED: "in_progress",
    Status.IN_PROGRESS: "in_progress",
    Status.COPYING: "in_progress",
    Status.SUCCEEDED: "completed",
    Status.FAILED: "failed",
    Status.CANCELED: "cancelled",
}


def job_url(g: Generation) -> str:
    return f"{URL}/openrouter/api/v1/videos/{g.id}"


@pytest.mark.parametrize("status", list(Status))
def test_openrouter_job_of_each_status(status: Status) -> None:
    g = factories.in_status(status)
    job = openrouter_view.job(g, URL)
    assert (job["id"], job["generation_id"], job["polling_url"]) == (g.id, g.id, job_url(g))
    assert job["status"] == STATES[status]
    assert ("unsigned_urls" in job) is (status is Status.SUCCEEDED)
    assert ("usage" in job) is g.is_terminal
    assert None not in job.values()  # OpenRouter's clients refuse null


def test_openrouter_submitted_has_three_members() -> None:
    g = factories.generation()
    assert openrouter_view.submitted(g, URL) == {"id": g.id, "polling_url": job_url(g), "status": "pending"}


def test_openrouter_success_has_its_content_and_settled_cost() -> None:
    g = replace(factories.in_status(Status.SUCCEEDED), actual_cost=708_939)
    job = openrouter_view.job(g, URL)
    assert job["unsigned_urls"] == [f"{job_url(g)}/content?index=0"]
    assert job["usage"] == {"cost": 0.708939, "is_byok": False}
    assert "error" not in job


def test_openrouter_success_without_video_has_no_url() -> None:
    job = openrouter_view.job(replace(factories.in_status(Status.SUCCEEDED), output=None), URL)
    assert job["status"] == "completed"
    assert "unsigned_urls" not in job


@pytest.mark.parametrize("code", get_args(ErrorCode))
def test_openrouter_failure_of_each_code(code: ErrorCode) -> None:
    g = factories.in_status(Status.IN_PROGRESS).failed(Failure(code, "It did not work."), 0, NOW, units=None)
    job = openrouter_view.job(g, URL)
    assert job["status"] == ("expired" if code == "expired" else "failed")
    assert job["error"] == "It did not work."
    assert job["usage"] == {"cost": 0.0, "is_byok": False}


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CANCELED])
def test_openrouter_callback_has_the_job(status: Status) -> None:
    g = factories.in_status(status)
    event: dict[str, Any] = from_json(openrouter_view.callback(g, URL, NOW))
    job = openrouter_view.job(g, URL)
    assert event["type"] == f"video.generation.{job['status']}"
    assert event["created_at"].endswith("Z")
    assert event["data"] == {**{name: job[name] for name in job if name != "polling_url"}, "model": g.model}
