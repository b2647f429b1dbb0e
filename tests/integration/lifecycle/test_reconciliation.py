"""Reconciliation of unconfirmed submits by fal's bill, against real Redis and the sandbox, with a test's clock."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from service.config.settings import Settings
from service.domain.billing import BillingEvent
from service.domain.generation import Generation
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.observability import metrics
from service.runtime import Runtime, open_runtime
from service.store import keys
from service.store.generations.records import dump
from service.store.generations.submissions import SubmissionStore
from service.upstream.billing import FalBilling
from tests.support import factories, unconfirmed
from tests.support.factories import Clock
from tests.support.metric_values import value
from tests.support.unconfirmed import NEVER_TAKEN, finished, oracle, polled_to_the_end, reasons
from tests.support.waiting import process_due, stored

FIRST_LOOK = timedelta(minutes=2)


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url, fal_admin_key="admin:key")


@pytest.fixture(autouse=True)
async def fal(sandbox_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A new sandbox: the shared one bills jobs of other tests."""
    async with httpx.AsyncClient(base_url=sandbox_url) as client:
        (await client.post("/_sandbox/reset")).raise_for_status()
        yield client
        (await client.delete("/_sandbox/faults")).raise_for_status()


@pytest.fixture
async def owner(runtime: Runtime) -> Tenant:
    return await runtime.tenants.service.create("acme")


async def swept(runtime: Runtime, clock: Clock, after: timedelta) -> None:
    clock.advance(after)
    await process_due(runtime, WorkQueue.SWEEP)


def counted(outcome: str) -> float:
    return value(metrics.RECONCILIATIONS.labels(outcome))


def bills_read() -> float:
    return value(metrics.UPSTREAM_CALLS.labels("billing", "200"))


async def money(runtime: Runtime, owner: Tenant) -> tuple[int, int]:
    standing = await runtime.tenants.usage.month(owner.id)
    return standing.held, standing.spent


async def test_reconciliation_delivers_video_of_lost_response(
    runtime: Runtime, clock: Clock, owner: Tenant, sandbox_url: str
) -> None:
    g = await unconfirmed.unconfirmed(runtime, owner, webhook_url="http://127.0.0.1:9000/hook")
    (job,) = await finished(sandbox_url)
    before = counted("adopted")

    await swept(runtime, clock, FIRST_LOOK)

    adopted = await stored(runtime, g)
    assert (adopted.status, adopted.request_id) == (Status.SUBMITTED, job["request_id"])
    assert await runtime.redis.execute("ZSCORE", keys.due(WorkQueue.POLL), g.id) is not None
    await process_due(runtime, WorkQueue.POLL)  # at once: time has not moved
    ended = await stored(runtime, g)
    assert ended.status is Status.SUCCEEDED
    assert ended.actual_cost
    assert len(ended.deliveries) == 1
    assert await reasons(runtime, g) == ["billing event"]
    assert counted("adopted") == before + 1
    assert len(await oracle(sandbox_url)) == 1
    assert await money(runtime, owner) == (0, ended.actual_cost)
    assert (await runtime.operations.audit.run()).clean
    assert await runtime.stores.queue.unconfirmed_count() == await runtime.stores.queue.slots_used() == 0


async def test_reconciliation_waits_until_a_bill_is_possible(
    runtime: Runtime, clock: Clock, owner: Tenant, sandbox_url: str
) -> None:
    g = await unconfirmed.unconfirmed(runtime, owner)
    await finished(sandbox_url)
    before = bills_read()
    await swept(runtime, clock, FIRST_LOOK - timedelta(seconds=1))
    assert (await stored(runtime, g)).status is Status.UNCONFIRMED
    assert bills_read() == before


async def test_reconciliation_repeats_at_its_interval(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings, sandbox_url: str
) -> None:
    g = await unconfirmed.unconfirmed(runtime, owner, "sandbox:lost-answer sandbox:no-video sandbox:seconds=0.5")
    await swept(runtime, clock, FIRST_LOOK)  # not billed yet
    read = bills_read()
    await swept(runtime, clock, settings.reconcile_every - timedelta(seconds=1))
    assert bills_read() == read
    await finished(sandbox_url)
    await swept(runtime, clock, timedelta(seconds=1))
    assert bills_read() == read + 1
    assert (await stored(runtime, g)).status is Status.SUBMITTED


async def test_reconciliation_reads_bill_once_for_all_due(runtime: Runtime, clock: Clock, owner: Tenant) -> None:
    lost = [await unconfirmed.unconfirmed(runtime, owner, f"{NEVER_TAKEN} {n}") for n in range(4)]
    before = bills_read()
    await swept(runtime, clock, FIRST_LOOK)
    assert bills_read() == before + 1
    assert {(await stored(runtime, g)).status for g in lost} == {Status.UNCONFIRMED}


async def test_reconciliation_of_twins_waits_for_operator(
    runtime: Runtime, clock: Clock, owner: Tenant, sandbox_url: str
) -> None:
    first = await unconfirmed.unconfirmed(runtime, owner, f"{unconfirmed.LOST} first")
    second = await unconfirmed.unconfirmed(
        runtime, await runtime.tenants.service.create("other"), f"{unconfirmed.LOST} second"
    )
    jobs = {job["prompt"].split()[-1]: job["request_id"] for job in await finished(sandbox_url, 2)}
    before = counted("ambiguous")
    await swept(runtime, clock, FIRST_LOOK)
    await swept(runtime, clock, timedelta(minutes=1))
    assert [(await stored(runtime, g)).status for g in (first, second)] == [Status.UNCONFIRMED] * 2
    assert counted("ambiguous") == before + 2, "logged once each"

    await runtime.operations.unconfirmed.adopt(first.id, jobs["first"], "by its prompt")
    await swept(runtime, clock, timedelta(minutes=1))

    assert (await stored(runtime, second)).request_id == jobs["second"], "and now only one is left"
    for g in (first, second):
        assert (await polled_to_the_end(runtime, clock, g)).status is Status.SUCCEEDED
    assert (await runtime.operations.audit.run()).clean
    assert len(await oracle(sandbox_url)) == 2


async def test_reconciliation_matches_by_units(runtime: Runtime, clock: Clock, owner: Tenant, sandbox_url: str) -> None:
    short = await unconfirmed.unconfirmed(runtime, owner, f"{unconfirmed.LOST} short", duration=5)
    long = await unconfirmed.unconfirmed(runtime, owner, f"{unconfirmed.LOST} long", duration=15)
    jobs = {job["prompt"].split()[-1]: job["request_id"] for job in await finished(sandbox_url, 2)}
    await swept(runtime, clock, FIRST_LOOK)
    assert (await stored(runtime, short)).request_id == jobs["short"]
    assert (await stored(runtime, long)).request_id == jobs["long"]


async def test_reconciliation_ignores_known_request_ids(
    runtime: Runtime, clock: Clock, owner: Tenant, sandbox_url: str
) -> None:
    """A generation that fal never accepted, and another one that was submitted and confirmed."""
    lost = await unconfirmed.unconfirmed(runtime, owner, NEVER_TAKEN)
    known = await unconfirmed.created(runtime, owner, "sandbox:no-video")
    await process_due(runtime, WorkQueue.DISPATCH)
    await finished(sandbox_url)
    await swept(runtime, clock, FIRST_LOOK)
    assert (await stored(runtime, lost)).status is Status.UNCONFIRMED
    assert (await polled_to_the_end(runtime, clock, known)).status is Status.SUCCEEDED


@pytest.mark.parametrize("rival", ["submitting", "given_up", "given_up_and_forgotten"])
async def test_reconciliation_with_other_candidate_adopts_nothing(
    runtime: Runtime, clock: Clock, owner: Tenant, sandbox_url: str, rival: str
) -> None:
    lost = await unconfirmed.unconfirmed(runtime, owner)
    other = await unconfirmed.created(runtime, owner)
    moved = await runtime.transitions.apply(other.id, lambda g: g.submitting(clock()))
    assert moved is not None
    if rival != "submitting":
        await runtime.transitions.apply(other.id, Generation.unconfirmed)
        ended = await runtime.operations.unconfirmed.dismiss(other.id, "I think so")
        if rival == "given_up_and_forgotten":
            assert await runtime.stores.generations.purge(ended)
    else:  # its sweep is not due for as long as this test takes
        await runtime.redis.execute("ZREM", keys.due(WorkQueue.SWEEP), other.id)
    await finished(sandbox_url)
    await swept(runtime, clock, FIRST_LOOK)
    assert (await stored(runtime, lost)).status is Status.UNCONFIRMED


async def test_reconciliation_adopts_no_request_id_twice(
    runtime: Runtime, clock: Clock, owner: Tenant, sandbox_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process adopts between the reading and the transition: the script decides."""
    g = await unconfirmed.unconfirmed(runtime, owner)
    (job,) = await finished(sandbox_url)

    async def nothing(*_: object) -> set[str]:
        return set()

    monkeypatch.setattr(SubmissionStore, "find_known", nothing)
    await runtime.redis.execute("ZADD", keys.FAL_REQUEST_IDS, int(clock().timestamp() * 1000), job["request_id"])
    await process_due(runtime, WorkQueue.SWEEP)
    await swept(runtime, clock, FIRST_LOOK)
    assert (await stored(runtime, g)).status is Status.UNCONFIRMED


async def test_reconciliation_by_two_processes_adopts_once(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings, sandbox_url: str
) -> None:
    g = await unconfirmed.unconfirmed(runtime, owner)
    await finished(sandbox_url)
    clock.advance(FIRST_LOOK)
    async with open_runtime(settings, clock=clock) as other:
        await runtime.queues.run(WorkQueue.SWEEP)
        await runtime.redis.execute("ZADD", keys.due(WorkQueue.SWEEP), 1, g.id)  # its lease ended: the other's now
        await other.queues.run(WorkQueue.SWEEP)
        await runtime.queues.consumers[WorkQueue.SWEEP].idle()
        await other.queues.consumers[WorkQueue.SWEEP].idle()
    assert (await stored(runtime, g)).version == g.version + 1
    assert await reasons(runtime, g) == ["billing event"]


async def test_reconciliation_finds_and_stops_erased_job(
    runtime: Runtime, clock: Clock, owner: Tenant, sandbox_url: str
) -> None:
    g = await unconfirmed.unconfirmed(runtime, owner, end_user_id="customer-7")
    await finished(sandbox_url)
    await runtime.tenants.end_users.erase(owner, "customer-7")
    await swept(runtime, clock, FIRST_LOOK)
    adopted = await stored(runtime, g)
    assert (adopted.status, adopted.erased) == (Status.SUBMITTED, True)
    ended = await polled_to_the_end(runtime, clock, g)
    assert ended.output is None


# --- at the deadline --------------------------------------------------------------------------------------------------


async def test_reconciliation_unbilled_costs_nothing(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings
) -> None:
    g = await unconfirmed.unconfirmed(runtime, owner, NEVER_TAKEN, webhook_url="http://127.0.0.1:9000/hook")
    await swept(runtime, clock, settings.unconfirmed_deadline - timedelta(seconds=1))
    assert (await stored(runtime, g)).status is Status.UNCONFIRMED
    await swept(runtime, clock, timedelta(seconds=1))
    ended = await stored(runtime, g)
    assert ended.error is not None
    assert (ended.error.code, ended.error.retryable, ended.actual_cost) == ("submission_unconfirmed", True, 0)
    assert len(ended.deliveries) == 1
    assert await money(runtime, owner) == (0, 0)
    assert await reasons(runtime, g) == ["no billing event"]
    assert (await runtime.operations.audit.run()).clean


async def test_reconciliation_possibly_billed_counts_as_spent(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings, sandbox_url: str
) -> None:
    lost = [await unconfirmed.unconfirmed(runtime, owner, f"{unconfirmed.LOST} {n}") for n in range(2)]
    await finished(sandbox_url, 2)
    await swept(runtime, clock, settings.unconfirmed_deadline)
    for g in lost:
        ended = await stored(runtime, g)
        assert ended.error is not None
        assert (ended.error.code, ended.actual_cost) == ("submission_unconfirmed", ended.estimated_cost)


async def test_reconciliation_ambiguous_at_deadline_is_paid_and_lost(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings, sandbox_url: str
) -> None:
    lost = [await unconfirmed.unconfirmed(runtime, owner, f"{unconfirmed.LOST} {n}") for n in range(2)]
    jobs = {job["prompt"]: job["request_id"] for job in await finished(sandbox_url, 2)}
    await swept(runtime, clock, settings.unconfirmed_deadline - timedelta(seconds=1))
    assert await runtime.operations.unconfirmed.paid_and_lost(limit=10) == ([], 0)
    await swept(runtime, clock, timedelta(seconds=1))
    marked, count = await runtime.operations.unconfirmed.paid_and_lost(limit=10)
    assert ({one.generation.id for one in marked}, count) == ({g.id for g in lost}, 2)
    g = lost[0]
    await runtime.operations.unconfirmed.revive(g.id, "found in fal's dashboard", request_id=jobs[g.input["prompt"]])
    assert (await polled_to_the_end(runtime, clock, g)).status is Status.SUCCEEDED
    assert (await runtime.operations.unconfirmed.paid_and_lost(limit=10))[1] == 1
    assert (await runtime.operations.audit.run()).clean


async def test_reconciliation_unreadable_bill_delays_end_once(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings, fal: httpx.AsyncClient
) -> None:
    g = await unconfirmed.unconfirmed(runtime, owner, NEVER_TAKEN)
    await fal.post("/_sandbox/faults", json={"account": {"kind": "500"}})
    before = counted("upstream_unavailable")
    await swept(runtime, clock, settings.unconfirmed_deadline)
    assert (await stored(runtime, g)).status is Status.UNCONFIRMED
    await swept(runtime, clock, settings.unconfirmed_deadline - timedelta(seconds=1))
    assert (await stored(runtime, g)).status is Status.UNCONFIRMED
    await swept(runtime, clock, settings.reconcile_every)
    ended = await stored(runtime, g)
    assert (ended.status, ended.actual_cost) == (Status.FAILED, ended.estimated_cost)
    assert counted("upstream_unavailable") == before + 3


async def test_reconciliation_retry_can_prove_unbilled(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings, fal: httpx.AsyncClient
) -> None:
    g = await unconfirmed.unconfirmed(runtime, owner, NEVER_TAKEN)
    await fal.post("/_sandbox/faults", json={"account": {"kind": "locked", "times": 1}})
    await swept(runtime, clock, settings.unconfirmed_deadline)
    await swept(runtime, clock, settings.reconcile_every)
    ended = await stored(runtime, g)
    assert (ended.status, ended.actual_cost) == (Status.FAILED, 0)


async def test_reconciliation_of_removed_model_proves_nothing(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings
) -> None:
    """Its table may have named another endpoint."""
    g = await unconfirmed.unconfirmed(runtime, owner, NEVER_TAKEN)
    elsewhere = replace(g, model="acme/removed/image-to-video")
    await runtime.redis.execute("HSET", keys.generation(g.id), "d", dump(elsewhere))
    await swept(runtime, clock, settings.unconfirmed_deadline)
    ended = await stored(runtime, g)
    assert (ended.status, ended.actual_cost) == (Status.FAILED, ended.estimated_cost)


class TestWithAShortDeadline:
    @pytest.fixture
    def settings(self, redis_url: str, sandbox_url: str) -> Settings:
        return factories.sandbox_settings(
            redis_url, sandbox_url, fal_admin_key="admin:key", unconfirmed_deadline=timedelta(minutes=10)
        )

    async def test_reconciliation_no_bill_is_no_proof_while_job_may_run(
        self, runtime: Runtime, clock: Clock, owner: Tenant
    ) -> None:
        g = await unconfirmed.unconfirmed(runtime, owner, NEVER_TAKEN)
        await swept(runtime, clock, timedelta(minutes=10))
        ended = await stored(runtime, g)
        assert (ended.status, ended.actual_cost) == (Status.FAILED, ended.estimated_cost)


class TestWithEqualDeadlines:
    @pytest.fixture
    def settings(self, redis_url: str, sandbox_url: str) -> Settings:
        settings = factories.sandbox_settings(redis_url, sandbox_url, fal_admin_key="admin:key")
        return settings.model_copy(update={"unconfirmed_deadline": settings.upstream_deadline})

    async def test_reconciliation_bill_read_before_deadline_proves_nothing_after_it(
        self, runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The deadline passes while the bill is read: fal can bill the job in between."""
        read = FalBilling.events

        async def slow(billing: FalBilling, endpoint: str, *, start: datetime, end: datetime) -> list[BillingEvent]:
            events = await read(billing, endpoint, start=start, end=end)
            clock.advance(timedelta(seconds=2))
            return events

        monkeypatch.setattr(FalBilling, "events", slow)
        g = await unconfirmed.unconfirmed(runtime, owner, NEVER_TAKEN)
        await swept(runtime, clock, settings.upstream_deadline - timedelta(seconds=1))
        ended = await stored(runtime, g)
        assert (ended.status, ended.actual_cost) == (Status.FAILED, ended.estimated_cost)


class TestWithoutAnAdminKey:
    @pytest.fixture
    def settings(self, redis_url: str, sandbox_url: str) -> Settings:
        return factories.sandbox_settings(redis_url, sandbox_url)

    async def test_reconciliation_disabled_waits_for_operator(
        self, runtime: Runtime, clock: Clock, owner: Tenant, sandbox_url: str
    ) -> None:
        g = await unconfirmed.unconfirmed(runtime, owner)
        (job,) = await finished(sandbox_url)
        before = bills_read()
        for _ in range(5):
            await swept(runtime, clock, timedelta(hours=1))
        assert (await stored(runtime, g)).status is Status.UNCONFIRMED
        assert bills_read() == before
        assert await money(runtime, owner) == (g.estimated_cost, 0)

        adopted = await runtime.operations.unconfirmed.adopt(g.id, job["request_id"], "found in the dashboard")

        await process_due(runtime, WorkQueue.SWEEP)
        assert (await stored(runtime, g)).status is adopted.status is Status.SUBMITTED, "its deadline counts anew"
        await process_due(runtime, WorkQueue.POLL)
        assert (await stored(runtime, g)).status is Status.SUCCEEDED
        assert len(await oracle(sandbox_url)) == 1


# --- the index of submitted request ids -------------------------------------------------------------------------------


async def scores(runtime: Runtime, key: str) -> list[str]:
    return [name.decode() for name in await runtime.redis.execute("ZRANGE", key, 0, -1)]


async def test_submission_index_is_trimmed_when_safe(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings
) -> None:
    index_age = settings.unconfirmed_deadline + settings.upstream_deadline + timedelta(hours=24)
    for key in (keys.FAL_REQUEST_IDS, keys.GIVEN_UP):
        for name, age in (("old", index_age + timedelta(minutes=1)), ("young", index_age - timedelta(minutes=2))):
            await runtime.redis.execute("ZADD", key, int((clock() - age).timestamp() * 1000), name)
    await process_due(runtime, WorkQueue.SWEEP)
    assert await scores(runtime, keys.FAL_REQUEST_IDS) == await scores(runtime, keys.GIVEN_UP) == ["young"]
    await swept(runtime, clock, timedelta(minutes=2, seconds=1))
    assert await scores(runtime, keys.FAL_REQUEST_IDS) == []


async def test_submission_index_is_kept_while_unconfirmed(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings
) -> None:
    """No sweep ran for days. Each job of these days is still in the index."""
    await unconfirmed.given_up_as_lost(runtime, owner, clock)
    await runtime.redis.execute("ZADD", keys.FAL_REQUEST_IDS, int(clock().timestamp() * 1000), "same-time")
    clock.advance(10 * settings.unconfirmed_deadline)
    await runtime.queues.sweeper.claim(1)
    assert await scores(runtime, keys.FAL_REQUEST_IDS) == ["same-time"]


@pytest.mark.parametrize("late", [timedelta(0), timedelta(days=3)])
async def test_reconciliation_after_long_outage_mistakes_nothing(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings, sandbox_url: str, late: timedelta
) -> None:
    lost = await unconfirmed.unconfirmed(runtime, owner, NEVER_TAKEN)
    await unconfirmed.created(runtime, owner, "sandbox:no-video")
    await process_due(runtime, WorkQueue.DISPATCH)
    await finished(sandbox_url)
    await swept(runtime, clock, settings.unconfirmed_deadline + late)
    ended = await stored(runtime, lost)
    assert (ended.status, ended.request_id, ended.actual_cost) == (Status.FAILED, None, 0)


async def test_sweep_of_entry_not_due_restores_its_time(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings
) -> None:
    g = await unconfirmed.created(runtime, owner, "sandbox:hang")
    await runtime.redis.execute("ZADD", keys.due(WorkQueue.SWEEP), 1, g.id)
    await process_due(runtime, WorkQueue.SWEEP)
    score: Any = await runtime.redis.execute("ZSCORE", keys.due(WorkQueue.SWEEP), g.id)
    assert float(score) == g.expires_at.timestamp() * 1000
