"""Bulk replays: each dead letter that matches is sent once more, whatever happens to the workers."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.bulk import BulkJob
from service.runtime import Runtime
from service.usecases.operations.bulk.deliveries import ReplayDeliveries
from tests.conftest import Connect
from tests.integration.operations.test_bulk import counts, finished, previewed, started
from tests.support import factories
from tests.support.factories import Clock
from tests.support.receiver import Receiver
from tests.support.webhooks import changed, drained, ended, endpoint


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, webhook_schedule=(timedelta(0),))


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


async def dead(api: httpx.AsyncClient, runtime: Runtime, receiver: Receiver, clock: Clock, count: int) -> None:
    """Make dead letters. Afterwards the receiver works again."""
    receiver.otherwise = 500
    for _ in range(count):
        await ended(api)
    await drained(runtime)
    receiver.otherwise = 204
    receiver.received.clear()
    clock.advance(timedelta(minutes=1))


async def test_bulk_replay_sends_dead_letters_of_all_tenants_once(
    connect: Connect, operator: httpx.AsyncClient, runtime: Runtime, receiver: Receiver, clock: Clock
) -> None:
    for _ in range(2):
        api = await connect()
        made = await endpoint(api, receiver.url)
        await dead(api, runtime, receiver, clock, 2)
    preview = await previewed(operator, {"status": "dead"}, "replay")
    assert (preview["matched"], preview["tenant_count"], len(preview["endpoints"])) == (4, 2, 2)
    assert (await previewed(operator, {"status": "dead", "endpoint_id": made["id"]}, "replay"))["matched"] == 2

    job = await finished(runtime, await started(operator, {"status": "dead"}, "replay"))
    await drained(runtime)

    assert counts(job) == ("done", 4, 4, 0, 0)
    sent = [one.headers["webhook-id"] for one in receiver.received]
    assert len(sent) == len(set(sent)) == 4
    assert (await previewed(operator, {"status": "dead"}, "replay"))["matched"] == 0


@pytest.mark.parametrize("status", ["dead", "delivered"])
async def test_bulk_replay_of_a_dead_worker_sends_nothing_twice(
    status: str,
    api: httpx.AsyncClient,
    operator: httpx.AsyncClient,
    runtime: Runtime,
    receiver: Receiver,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Receivers get the replays of the first half before the next worker repeats the step."""
    await endpoint(api, receiver.url)
    await dead(api, runtime, receiver, clock, 4)
    if status == "delivered":
        await finished(runtime, await started(operator, {"status": "dead"}, "replay"))
        await drained(runtime)
        receiver.received.clear()
        clock.advance(timedelta(minutes=1))
    wanted: dict[str, Any] = {"status": status, "tenant_id": await _tenant_id(runtime)}
    job_id = await started(operator, wanted, "replay")
    assert await runtime.operations.bulk_jobs.continue_step(job_id)
    left, act = 2, ReplayDeliveries.act

    async def fails(self: ReplayDeliveries, job: BulkJob, name: str) -> Any:
        nonlocal left
        if left == 0:
            raise ConnectionAbortedError
        left -= 1
        return await act(self, job, name)

    async def lost(*_: object, **__: object) -> bool:
        raise ConnectionAbortedError

    with monkeypatch.context() as patch:
        patch.setattr(ReplayDeliveries, "act", fails)
        patch.setattr(runtime.stores.bulk_jobs, "count", lost)
        with pytest.raises(ConnectionAbortedError):
            await runtime.operations.bulk_jobs.continue_step(job_id)
    await drained(runtime)
    assert len(receiver.received) == 2

    job = await finished(runtime, job_id)
    await drained(runtime)

    assert counts(job) == ("done", 4, 4, 0, 0)
    assert len({one.headers["webhook-id"] for one in receiver.received}) == len(receiver.received) == 4


async def test_bulk_replay_to_a_disabled_endpoint_fails(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, runtime: Runtime, receiver: Receiver, clock: Clock
) -> None:
    made = await endpoint(api, receiver.url)
    await dead(api, runtime, receiver, clock, 2)
    await changed(api, made, enabled=False)

    job = await finished(runtime, await started(operator, {"status": "dead"}, "replay"))

    assert counts(job) == ("done", 2, 0, 0, 2)


async def _tenant_id(runtime: Runtime) -> str:
    (tenant,) = await runtime.stores.tenants.page(limit=2, after=None)
    return tenant.id
