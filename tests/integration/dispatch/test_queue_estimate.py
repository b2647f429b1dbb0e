"""Queue position and estimated start as a tenant reads them."""

from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.tenant import Limits, Tenant
from service.errors import StoreUnavailable
from service.runtime import Runtime
from service.store.queues.tenant_queue import QueueStats
from service.usecases.generations import queue_estimate
from service.usecases.generations.queue_estimate import estimate
from tests.support import factories
from tests.support.factories import Clock


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, upstream_concurrency=2)


@pytest.mark.parametrize(
    ("line", "limits", "position", "expected"),
    [
        (QueueStats(queued=1, slots_used=0, weights=1, seconds=None), Limits(), 0, 0.0),
        (QueueStats(queued=5, slots_used=40, weights=1, seconds=None), Limits(), 4, None),
        (QueueStats(queued=5, slots_used=40, weights=1, seconds=80), Limits(), 0, 2.0),
        (QueueStats(queued=5, slots_used=40, weights=1, seconds=80), Limits(), 4, 10.0),
        (QueueStats(queued=500, slots_used=40, weights=4, seconds=80), Limits(), 4, 40.0),
        (QueueStats(queued=500, slots_used=40, weights=4, seconds=80), Limits(weight=2), 4, 20.0),
        (QueueStats(queued=6, slots_used=40, weights=90, seconds=80), Limits(), 4, 12.0),
        (QueueStats(queued=5, slots_used=0, weights=1, seconds=80), Limits(concurrent_generations=1), 4, 400.0),
        (QueueStats(queued=5, slots_used=0, weights=1, seconds=80), Limits(concurrent_generations=1), 0, 0.0),
    ],
)
def test_queue_estimate_formula(line: QueueStats, limits: Limits, position: int, expected: float | None) -> None:
    assert estimate(line, factories.tenant(limits=limits), position, 40) == expected


async def test_queue_position_is_shown_at_create_and_later(
    app: FastAPI, runtime: Runtime, clock: Clock, api: httpx.AsyncClient, tenant: Tenant
) -> None:
    created = []
    for _ in range(4):
        clock.advance(timedelta(milliseconds=1))
        created.append((await api.post("/v1/generations", json=factories.create_body())).json())
    assert [g["queue"]["position"] for g in created] == [0, 1, 2, 3]
    clock.advance(timedelta(milliseconds=1))
    urgent = (await api.post("/v1/generations", json=factories.create_body(priority=5))).json()
    assert urgent["queue"]["position"] == 0
    await runtime.stores.queue.claim(now=clock(), most=2, lease=timedelta(seconds=15), slots=2)
    listed = (await api.get("/v1/generations")).json()["data"]
    assert [g["queue"]["position"] for g in listed] == [0, 2, 1, 0, 0], "newest first; two are on their way"
    app.state.runtime.generations.queue_estimator.forget()
    read = (await api.get(f"/v1/generations/{created[2]['id']}")).json()
    assert read["queue"] == {"position": 1, "estimated_start_seconds": None, "hold_reason": None}, (
        "nothing has ended yet"
    )


async def test_queue_estimates_of_a_page_take_one_read(
    app: FastAPI, clock: Clock, api: httpx.AsyncClient, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a read takes longer than its result is cached, each further read of a page would wait for another one."""
    for _ in range(5):
        clock.advance(timedelta(milliseconds=1))
        assert (await api.post("/v1/generations", json=factories.create_body())).status_code == 202
    monkeypatch.setattr(queue_estimate, "_CACHE_SECONDS", -1.0)
    queue, reads = app.state.runtime.stores.queue, []
    stats = queue.stats

    async def counted() -> QueueStats:
        reads.append(1)
        found: QueueStats = await stats()
        return found

    monkeypatch.setattr(queue, "stats", counted)
    listed = (await api.get("/v1/generations")).json()["data"]
    assert [g["queue"]["position"] for g in listed] == [4, 3, 2, 1, 0]
    assert len(reads) == 1


async def test_queue_estimate_uses_ended_jobs_and_stops_at_pause(
    app: FastAPI, runtime: Runtime, clock: Clock, api: httpx.AsyncClient, tenant: Tenant
) -> None:
    names = []
    for _ in range(5):
        clock.advance(timedelta(milliseconds=1))
        names.append((await api.post("/v1/generations", json=factories.create_body())).json()["id"])
    await runtime.stores.queue.claim(now=clock(), most=2, lease=timedelta(seconds=15), slots=2)
    started = clock()
    for name in names[:2]:
        await runtime.transitions.apply(name, lambda g: g.submitting(started))
        await runtime.transitions.apply(name, lambda g: g.submitted(factories.request_id()))
    clock.advance(timedelta(seconds=60))
    await runtime.transitions.apply(names[0], lambda g: g.succeeded(factories.output(), 1, clock()))
    await runtime.stores.queue.claim(now=clock(), most=1, lease=timedelta(seconds=15), slots=2)
    app.state.runtime.generations.queue_estimator.forget()
    read = (await api.get(f"/v1/generations/{names[4]}")).json()
    expected = {"position": 1, "estimated_start_seconds": 60.0, "hold_reason": None}
    assert read["queue"] == expected, "two slots, 60 s each, second in line"
    await runtime.operations.gate.pause("night")
    app.state.runtime.generations.queue_estimator.forget()
    read = (await api.get(f"/v1/generations/{names[4]}")).json()
    assert read["queue"] == {"position": 1, "estimated_start_seconds": None, "hold_reason": "paused"}


async def test_create_without_queue_estimate_is_accepted(
    app: FastAPI, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis becomes unavailable between creation and response: a 503 would make the caller create and pay again."""

    async def unavailable() -> QueueStats:
        raise StoreUnavailable("The store did not answer.")

    monkeypatch.setattr(app.state.runtime.stores.queue, "stats", unavailable)
    created = await api.post("/v1/generations", json=factories.create_body())
    assert created.status_code == 202
    assert created.json()["queue"] == {"position": 0, "estimated_start_seconds": None, "hold_reason": None}


async def test_create_without_readable_end_is_accepted(
    app: FastAPI, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object, **__: object) -> None:
        raise StoreUnavailable("The store did not answer.")

    monkeypatch.setattr(app.state.runtime.generations.reader, "wait_for_end", unavailable)
    created = await api.post("/v1/generations", json=factories.create_body(), headers={"prefer": "wait=5"})
    assert (created.status_code, created.json()["status"]) == (202, "queued")
    assert "preference-applied" not in created.headers
