"""``copying`` is internal: callers, webhooks, event streams and metrics see ``in_progress``."""

import asyncio
import time
from typing import Final

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY

from service.domain.generation import Generation
from service.domain.status import Status
from service.domain.stream import BEGINNING, events_since
from service.domain.tenant import Tenant
from service.runtime import Runtime
from service.usecases.lifecycle.transition_service import Transition
from tests.support import factories
from tests.support.factories import NOW
from tests.support.webhooks import endpoint

SUBMITTING: Final[Transition] = lambda g: g.submitting(NOW)  # noqa: E731
SUBMITTED: Final[Transition] = lambda g: g.submitted("request-1")  # noqa: E731
STARTED: Final[Transition] = lambda g: g.started(NOW)  # noqa: E731
COPYING: Final[Transition] = lambda g: g.copying_started(factories.output(), 1_000, NOW)  # noqa: E731
COPIED: Final[Transition] = lambda g: g.copied(NOW)  # noqa: E731


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    opened: Runtime = app.state.runtime
    return opened


@pytest.fixture
async def generation_id(api: httpx.AsyncClient) -> str:
    await endpoint(api, "http://127.0.0.1:19999/hook", events=["generation.in_progress", "generation.succeeded"])
    return str((await api.post("/v1/generations", json=factories.create_body())).json()["id"])


async def moved(runtime: Runtime, generation_id: str, *transitions: Transition) -> Generation:
    for transition in transitions:
        assert await runtime.transitions.apply(generation_id, transition) is not None
    g = await runtime.stores.generations.load(generation_id)
    assert g is not None
    return g


async def test_copying_is_shown_as_in_progress(api: httpx.AsyncClient, runtime: Runtime, generation_id: str) -> None:
    g = await moved(runtime, generation_id, SUBMITTING, SUBMITTED, STARTED, COPYING)

    assert g.status is Status.COPYING
    assert (await api.get(f"/v1/generations/{generation_id}")).json()["status"] == "in_progress"
    canceled = await api.post(f"/v1/generations/{generation_id}/cancel")
    assert (canceled.status_code, canceled.json()["status"]) == (202, "in_progress")


async def test_copying_is_listed_as_in_progress(api: httpx.AsyncClient, runtime: Runtime, generation_id: str) -> None:
    await moved(runtime, generation_id, SUBMITTING, SUBMITTED, STARTED, COPYING)

    found = (await api.get("/v1/generations", params={"status": "in_progress"})).json()["data"]
    unknown = await api.get("/v1/generations", params={"status": "copying"})

    assert [(item["id"], item["status"]) for item in found] == [(generation_id, "in_progress")]
    assert (unknown.status_code, unknown.json()["code"]) == (422, "invalid")


async def test_copying_ends_no_long_poll(runtime: Runtime, tenant: Tenant, generation_id: str) -> None:
    await moved(runtime, generation_id, SUBMITTING, SUBMITTED, STARTED)
    begun = time.monotonic()
    waiting = asyncio.create_task(runtime.generations.reader.wait_for_change(tenant, generation_id, within=0.5))
    await asyncio.sleep(0.1)

    await moved(runtime, generation_id, COPYING)

    assert (await waiting).status is Status.COPYING
    assert time.monotonic() - begun >= 0.5


async def test_copying_is_no_event_of_a_stream(runtime: Runtime, generation_id: str) -> None:
    started = await moved(runtime, generation_id, SUBMITTING, SUBMITTED, STARTED)
    (event,) = events_since(started, None, BEGINNING)

    copying = await moved(runtime, generation_id, COPYING)

    assert list(events_since(copying, None, event.id)) == []
    copied = await moved(runtime, generation_id, COPIED)
    assert [each.data["status"] for each in events_since(copied, None, event.id)] == ["succeeded"]


@pytest.mark.parametrize("seen_running", [True, False])
async def test_copying_sends_one_in_progress_webhook(
    api: httpx.AsyncClient, runtime: Runtime, generation_id: str, *, seen_running: bool
) -> None:
    """Also where no poll saw fal work on the job."""
    life = (SUBMITTING, SUBMITTED, *([STARTED] if seen_running else []), COPYING, COPIED)

    g = await moved(runtime, generation_id, *life)

    sent = (await api.get("/v1/deliveries")).json()["data"]
    assert sorted(each["event"] for each in sent) == ["generation.in_progress", "generation.succeeded"]
    assert len(g.deliveries) == 2


async def test_copying_time_is_measured_as_in_progress(runtime: Runtime, generation_id: str) -> None:
    def measured(status: str) -> float:
        return REGISTRY.get_sample_value("gateway_state_seconds_count", {"status": status}) or 0

    before = measured("in_progress")

    await moved(runtime, generation_id, SUBMITTING, SUBMITTED, STARTED, COPYING, COPIED)

    assert measured("in_progress") == before + 1
    assert measured("copying") == 0


async def test_copying_frees_the_slot(runtime: Runtime, generation_id: str) -> None:
    await moved(runtime, generation_id, SUBMITTING, SUBMITTED, STARTED)
    assert await runtime.stores.queue.slots_used() == 1

    await moved(runtime, generation_id, COPYING)

    assert await runtime.stores.queue.slots_used() == 0
    assert (await runtime.operations.audit.run()).clean
