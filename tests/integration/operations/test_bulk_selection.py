"""What a bulk job selects: the walk of one index, previews within bounds, and dismissals of unconfirmed submits."""

import itertools
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.domain.bulk import BulkJob
from service.domain.callback import Callback
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.domain.webhook import DeliveryStatus
from service.runtime import Runtime
from service.store import keys, paging
from service.store.generations import read
from service.store.generations.callbacks import CallbackStore
from service.store.generations.read import INDEXED
from service.store.redis.client import Redis
from service.usecases.operations.bulk import deliveries, generations
from service.usecases.operations.bulk.generations import DismissSubmits
from tests.integration.operations.test_bulk import (
    Died,
    brought_to,
    counts,
    finished,
    loaded,
    previewed,
    queued,
    start,
    started,
    touched,
)
from tests.support import unconfirmed
from tests.support.factories import Clock

#: Entries of an index that one page of these tests reads, in place of 500.
READ = 4


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


@pytest.fixture
async def small_pages(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (paging, read, generations, deliveries):
        monkeypatch.setattr(module, "ENTRIES_READ", READ)
    await runtime.redis.execute("SET", keys.SEARCH_INDEXED, INDEXED)


def commands_of(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Return the list of commands that are sent from now on."""
    sent: list[tuple[Any, ...]] = []
    send = Redis._enqueue

    def counted(self: Redis, command: Any, **options: Any) -> Any:
        sent.append(command)
        return send(self, command, **options)

    monkeypatch.setattr(Redis, "_enqueue", counted)
    return sent


# --- previews ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize(("count", "more"), [(READ, False), (2 * READ - 1, False), (3 * READ, True)])
async def test_bulk_preview_reads_both_ends_of_an_index(
    count: int, more: bool, operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock
) -> None:
    names = []
    for _ in range(count):
        names += await queued(runtime, tenant, 1)
        clock.advance(timedelta(seconds=1))

    found = await previewed(operator, {"tenant_id": tenant.id, "model": (await loaded(runtime, names[0])).model})
    whole_queue = await previewed(operator, {"tenant_id": tenant.id})

    assert (found["more"], found["matched"]) == (more, 2 * READ if more else count)
    assert (whole_queue["more"], whole_queue["matched"]) == (more, count), "the queue of a tenant has a kept length"
    for preview in (found, whole_queue):
        assert preview["counted"] == min(count, 2 * READ) == preview["tenants"][0]["items"]
        first, last = [await loaded(runtime, names[n]) for n in (0, -1)]
        assert preview["oldest"][:19] == first.created_at.isoformat()[:19]
        assert preview["newest"][:19] == last.created_at.isoformat()[:19]


@pytest.mark.usefixtures("small_pages")
async def test_bulk_job_over_more_than_a_preview_reads_starts(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant
) -> None:
    names = await queued(runtime, tenant, 5 * READ)
    job = await finished(runtime, await started(operator, {"tenant_id": tenant.id}))

    assert counts(job) == ("done", 5 * READ, 5 * READ, 0, 0)
    assert len(await touched(runtime, {name: name for name in names})) == 5 * READ


@pytest.mark.usefixtures("small_pages")
async def test_bulk_start_that_accepts_more_is_not_refused(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant
) -> None:
    await queued(runtime, tenant, 3 * READ)
    wanted = {"tenant_id": tenant.id}

    assert (await start(operator, wanted, expected=1)).status_code == 409
    assert (await start(operator, wanted, expected=1, more=True)).status_code == 202


@pytest.mark.usefixtures("small_pages")
async def test_bulk_preview_of_few_reads_no_history(
    operator: httpx.AsyncClient,
    runtime: Runtime,
    tenant: Tenant,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A tenant with a long history and one generation before an end: only that one is read."""
    for name in await queued(runtime, tenant, 3 * READ):
        await brought_to(runtime, await loaded(runtime, name), Status.CANCELED, clock)
    (live,) = await queued(runtime, tenant, 1)
    sent = commands_of(monkeypatch)

    found = await previewed(operator, {"tenant_id": tenant.id})

    assert (found["matched"], found["more"]) == (1, False)
    records = [command[1] for command in sent if command[0] == "HGET" and command[2] == "d"]
    assert records == [keys.generation(live)]


# --- the walk ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("status", [None, "in_flight"])
async def test_bulk_job_collects_each_once_while_statuses_change(
    status: str | None, operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock
) -> None:
    """Between the steps of the collection, generations move from one term of the index to another."""
    names = await queued(runtime, tenant, 4 * READ)
    if status is not None:
        for name in names:
            await brought_to(runtime, await loaded(runtime, name), Status.SUBMITTING, clock)
    wanted = {"tenant_id": tenant.id, **({} if status is None else {"status": status})}
    job_id = await started(operator, wanted)
    moved = iter(names)
    while (job := await runtime.operations.bulk_jobs.get(job_id)).state.value == "collecting":
        assert await runtime.operations.bulk_jobs.continue_step(job_id)
        for name in itertools.islice(moved, 2):
            if status is None:
                await brought_to(runtime, await loaded(runtime, name), Status.SUBMITTING, clock)
            else:
                assert await runtime.transitions.apply(name, lambda g: g.unconfirmed()) is not None

    assert job.matched == len(names)
    assert counts(await finished(runtime, job_id)) == ("done", len(names), len(names), 0, 0)


@pytest.mark.usefixtures("small_pages")
async def test_bulk_cancel_selects_by_metadata_and_request_id(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock
) -> None:
    await queued(runtime, tenant, 2)
    ordered = await unconfirmed.created(runtime, tenant, metadata={"order": "7"})
    await brought_to(runtime, ordered, Status.SUBMITTED, clock)
    request_id = (await loaded(runtime, ordered.id)).request_id

    for wanted in ({"metadata": {"order": "7"}}, {"fal_request_id": request_id}):
        assert (await previewed(operator, {"tenant_id": tenant.id, **wanted}))["matched"] == 1
    job = await finished(runtime, await started(operator, {"tenant_id": tenant.id, "metadata": {"order": "7"}}))
    assert counts(job) == ("done", 1, 1, 0, 0)


# --- dismissals -------------------------------------------------------------------------------------------------------


async def in_doubt(runtime: Runtime, tenant: Tenant, clock: Clock, count: int) -> list[str]:
    return [(await unconfirmed.given_up_as_lost(runtime, tenant, clock)).id for _ in range(count)]


@pytest.mark.usefixtures("small_pages")
async def test_bulk_dismissal_fails_what_was_submitted_before(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock
) -> None:
    other = await runtime.tenants.service.create("other")
    early = [name for owner in (tenant, other) for name in await in_doubt(runtime, owner, clock, 2 * READ)]
    clock.advance(timedelta(minutes=1))
    until = clock().isoformat()
    (late,), (waiting,) = await in_doubt(runtime, tenant, clock, 1), await queued(runtime, tenant, 1)
    clock.advance(timedelta(minutes=1))

    everything = await previewed(operator, {}, "dismiss")
    preview = await previewed(operator, {"submitted_before": until}, "dismiss")
    job = await finished(runtime, await started(operator, {"submitted_before": until}, "dismiss"))

    assert (everything["matched"], everything["more"]) == (len(early) + 1, False)
    assert (preview["matched"], preview["more"], preview["counted"]) == (len(early), False, 2 * READ - 1)
    assert counts(job) == ("done", len(early), len(early), 0, 0)
    ended = [await loaded(runtime, name) for name in early]
    assert {(g.status, g.actual_cost) for g in ended} == {(Status.FAILED, 0)}
    assert (await loaded(runtime, late)).status is Status.UNCONFIRMED
    assert (await loaded(runtime, waiting)).status is Status.QUEUED
    assert (await runtime.operations.audit.run()).differences == []


async def test_bulk_dismissal_shows_the_money_and_writes_the_reason(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock
) -> None:
    (name,) = await in_doubt(runtime, tenant, clock, 1)
    cost = f"{(await loaded(runtime, name)).estimated_cost / 1_000_000:.6f}"
    preview = await previewed(operator, {"tenant_id": tenant.id}, "dismiss")
    await finished(runtime, await started(operator, {"ids": [name]}, "dismiss"))

    assert (preview["released"], preview["billable"]) == (cost, cost)
    lines = (await operator.get(f"/admin/v1/generations/{name}")).json()["ledger"]
    assert "a flood" in str(lines)


async def test_bulk_dismissal_skips_what_fal_has_reported(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock
) -> None:
    reported, lost = await in_doubt(runtime, tenant, clock, 2)
    job_id = await started(operator, {}, "dismiss")
    assert await runtime.operations.bulk_jobs.continue_step(job_id)
    token = (await loaded(runtime, reported)).callback_token
    await CallbackStore(runtime.redis).receive(reported, token, Callback("request-1"), now=clock())

    job = await finished(runtime, job_id)

    assert counts(job) == ("done", 2, 1, 1, 0)
    assert (await loaded(runtime, reported)).status is Status.UNCONFIRMED
    assert (await loaded(runtime, lost)).status is Status.FAILED


async def test_bulk_dismissal_of_a_dead_worker_continues(
    operator: httpx.AsyncClient,
    runtime: Runtime,
    tenant: Tenant,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await in_doubt(runtime, tenant, clock, 3)
    job_id = await started(operator, {"tenant_id": tenant.id}, "dismiss")
    assert await runtime.operations.bulk_jobs.continue_step(job_id)
    act, left = DismissSubmits.act, 2

    async def dies(self: DismissSubmits, job: BulkJob, name: str) -> Any:
        nonlocal left
        if left == 0:
            raise Died
        left -= 1
        return await act(self, job, name)

    with monkeypatch.context() as patch:
        patch.setattr(DismissSubmits, "act", dies)
        with pytest.raises(Died):
            await runtime.operations.bulk_jobs.continue_step(job_id)

    assert counts(await finished(runtime, job_id)) == ("done", 3, 3, 0, 0)
    assert (await runtime.operations.audit.run()).differences == []


# --- deliveries -------------------------------------------------------------------------------------------------------


async def test_bulk_replay_selects_deliveries_of_a_generation(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant
) -> None:
    made = await api.post("/v1/webhook-endpoints", json={"url": "http://127.0.0.1:9000/hook"})
    assert made.status_code == 201, made.text
    names = await queued(runtime, tenant, 2)
    for name in names:
        assert (await api.post(f"/v1/generations/{name}/cancel")).status_code == 200
    first = await loaded(runtime, names[0])
    for delivery in await runtime.stores.deliveries.load_many(first.deliveries):
        assert delivery is not None
        assert (await runtime.stores.deliveries.save_attempt(delivery.dead_lettered(), now=runtime.clock())).won

    assert (await previewed(operator, {"generation_id": names[0]}, "replay"))["matched"] == 1
    assert (await previewed(operator, {"generation_id": names[1]}, "replay"))["matched"] == 0, "it is pending"
    assert (await previewed(operator, {"generation_id": "gen_1"}, "replay"))["matched"] == 0
    job = await finished(runtime, await started(operator, {"generation_id": names[0]}, "replay"))
    assert counts(job) == ("done", 1, 1, 0, 0)
    (again,) = await runtime.stores.deliveries.load_many(first.deliveries)
    assert again is not None
    assert again.status is DeliveryStatus.PENDING
