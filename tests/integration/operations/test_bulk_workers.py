"""Workers of bulk jobs: one that is killed loses nothing and repeats nothing, and no job stops other work."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.bulk import BulkJob
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store import keys
from service.usecases.operations.bulk.generations import CancelGenerations
from service.usecases.operations.bulk.jobs import STEP
from tests.integration.operations.test_bulk import counts, entries, loaded, queued, started, touched
from tests.support import factories
from tests.support.factories import Clock
from tests.support.receiver import Receiver
from tests.support.waiting import process_due, until
from tests.support.webhooks import drained, ended, endpoint

#: A worker of the sweep that is killed within the act on one item, as others of the same step are under way.
_WORKER: Final = """
import asyncio, os, signal, sys
from service.config.settings import Settings
from service.domain.work_queue import WorkQueue
from service.runtime import open_runtime
from service.usecases.operations.bulk import deliveries, generations

kind = {"cancel": generations.CancelGenerations, "replay": deliveries.ReplayDeliveries}[sys.argv[1]]
act, left = kind.act, int(sys.argv[2])

async def act_or_die(self, job, name):
    global left
    left -= 1
    outcome = await act(self, job, name)
    if left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return outcome

kind.act = act_or_die

async def main():
    async with open_runtime(Settings()) as runtime:
        await runtime.queues.run(WorkQueue.SWEEP)
        await runtime.queues.consumers[WorkQueue.SWEEP].idle()

asyncio.run(main())
"""
_SECONDS: Final = 180


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url, webhook_schedule=(timedelta(0),))


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


async def killed_worker(settings: Settings, kind: str, *, after: int) -> None:
    """Run a worker in a process of its own until it is killed."""
    child = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _WORKER, kind, str(after)],
        env={**os.environ, **settings.environment()},
        stderr=subprocess.DEVNULL,
        timeout=_SECONDS,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL


async def next_worker(runtime: Runtime, clock: Clock, job_id: str) -> BulkJob:
    """Continue a job when the lease of the dead worker ends, and not before."""
    before = await runtime.operations.bulk_jobs.get(job_id)
    await process_due(runtime, WorkQueue.SWEEP)
    held = await runtime.operations.bulk_jobs.get(job_id)
    assert (held.processed, held.has_ended) == (before.processed, False), "two workers process one job"
    clock.advance(timedelta(minutes=5))  # more than the time of the child, which has the clock of the machine
    await process_due(runtime, WorkQueue.SWEEP)
    return await runtime.operations.bulk_jobs.get(job_id)


async def test_bulk_cancel_of_a_killed_worker_acts_on_each_once(
    settings: Settings,
    api: httpx.AsyncClient,
    operator: httpx.AsyncClient,
    runtime: Runtime,
    tenant: Tenant,
    clock: Clock,
    receiver: Receiver,
) -> None:
    """The worker is killed in its second step."""
    await endpoint(api, receiver.url)
    names = await queued(runtime, tenant, 2 * STEP + 5)
    job_id = await started(operator, {"tenant_id": tenant.id})
    await killed_worker(settings, "cancel", after=STEP + 20)
    halfway = await runtime.operations.bulk_jobs.get(job_id)
    touched_before = await touched(runtime, {name: name for name in names})

    job = await next_worker(runtime, clock, job_id)
    await drained(runtime)

    assert (halfway.processed, halfway.matched) == (STEP, len(names))
    assert STEP < len(touched_before) < len(names), "it was not killed within a step"
    assert counts(job) == ("done", len(names), len(names), 0, 0)
    assert {(await loaded(runtime, name)).status for name in names} == {Status.CANCELED}
    sent = [one.headers["webhook-id"] for one in receiver.received]
    assert len(sent) == len(set(sent)) == len(names)
    assert (await runtime.operations.audit.run()).differences == []
    assert len(await entries(runtime, "end_bulk_job")) == 1


async def test_bulk_replay_of_a_killed_worker_sends_each_once(
    settings: Settings,
    api: httpx.AsyncClient,
    operator: httpx.AsyncClient,
    runtime: Runtime,
    tenant: Tenant,
    clock: Clock,
    receiver: Receiver,
) -> None:
    """Receivers get the replays of the killed worker before the next one repeats its step."""
    await endpoint(api, receiver.url)
    receiver.otherwise = 500
    for _ in range(6):
        await ended(api)
    await drained(runtime)
    receiver.otherwise = 204
    receiver.received.clear()
    clock.advance(timedelta(seconds=1))
    job_id = await started(operator, {"tenant_id": tenant.id, "status": "dead"}, "replay")
    await killed_worker(settings, "replay", after=3)
    await drained(runtime)

    job = await next_worker(runtime, clock, job_id)
    await drained(runtime)

    assert counts(job) == ("done", 6, 6, 0, 0)
    sent = [one.headers["webhook-id"] for one in receiver.received]
    assert len(sent) == len(set(sent)) == 6


# --- other work -------------------------------------------------------------------------------------------------------


async def has_state(runtime: Runtime, job_id: str, state: str) -> bool:
    return (await runtime.operations.bulk_jobs.get(job_id)).state.value == state


@pytest.fixture
async def held(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncio.Event]:
    """Hold every act of a cancel job until this event is set."""
    released, act = asyncio.Event(), CancelGenerations.act

    async def waits(self: CancelGenerations, job: BulkJob, name: str) -> Any:
        await released.wait()
        return await act(self, job, name)

    monkeypatch.setattr(CancelGenerations, "act", waits)
    yield released
    released.set()


async def test_bulk_job_that_hangs_holds_up_no_other_work(
    held: asyncio.Event,
    connect: Any,
    operator: httpx.AsyncClient,
    runtime: Runtime,
    tenant: Tenant,
    receiver: Receiver,
) -> None:
    """While a step of a job waits, others create, are dispatched, get webhooks, and their jobs are processed."""
    await queued(runtime, tenant, STEP)
    job_id = await started(operator, {"tenant_id": tenant.id})
    other = await runtime.tenants.service.create("other")
    api = await connect(other)
    await endpoint(api, receiver.url)
    await runtime.queues.run(WorkQueue.SWEEP)

    canceled = await ended(api)
    await drained(runtime)
    made = (await api.post("/v1/generations", json=factories.create_body(prompt="sandbox:no-video"))).json()["id"]
    await process_due(runtime, WorkQueue.DISPATCH)
    replay = await started(operator, {"tenant_id": other.id, "status": "delivered"}, "replay")
    await runtime.queues.run(WorkQueue.SWEEP)
    await until(lambda: has_state(runtime, replay, "done"), within=_SECONDS)

    assert (await loaded(runtime, made)).status is not Status.QUEUED
    assert [one.json["data"]["id"] for one in receiver.received] == [canceled]
    assert counts(await runtime.operations.bulk_jobs.get(replay)) == ("done", 1, 1, 0, 0)
    assert (await runtime.operations.bulk_jobs.get(job_id)).done == 0
    held.set()
    await runtime.queues.consumers[WorkQueue.SWEEP].idle()
    assert counts(await runtime.operations.bulk_jobs.get(job_id)) == ("done", STEP, STEP, 0, 0)


async def test_bulk_job_that_is_stopped_within_a_step_ends_after_it(
    held: asyncio.Event, operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant
) -> None:
    names = await queued(runtime, tenant, 3 * STEP)
    job_id = await started(operator, {"tenant_id": tenant.id})
    await runtime.queues.run(WorkQueue.SWEEP)
    await until(lambda: has_state(runtime, job_id, "running"), within=_SECONDS)
    assert (await operator.post(f"/admin/v1/bulk/{job_id}/stop", json={"reason": "wrong tenant"})).status_code == 200
    held.set()
    await runtime.queues.consumers[WorkQueue.SWEEP].idle()

    job = await runtime.operations.bulk_jobs.get(job_id)

    assert job.state.value == "stopped"
    assert job.done == len(await touched(runtime, {name: name for name in names})) <= STEP
    assert await runtime.redis.execute("ZSCORE", keys.due(WorkQueue.SWEEP), f"bulk:{job_id}") is None
