"""Unconfirmed submits found by fal's bill, against real Redis and the sandbox; time is passed in."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from service.config.settings import Settings
from service.domain.generation import Generation
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.observability import metrics
from service.runtime import Runtime, open_runtime
from service.store import keys
from service.store.generations.generations import dump
from service.store.generations.submissions import SubmissionStore
from tests.support import factories, unconfirmed
from tests.support.factories import Clock
from tests.support.unconfirmed import NEVER_TAKEN, drained, finished, oracle, polled_to_the_end, reasons, stored

FIRST_LOOK = timedelta(minutes=2)


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url, fal_admin_key="admin:key")


@pytest.fixture(autouse=True)
async def fal(sandbox_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A sandbox that nobody used before; as other tests leave it, it bills their jobs."""
    async with httpx.AsyncClient(base_url=sandbox_url) as client:
        (await client.post("/_sandbox/reset")).raise_for_status()
        yield client
        (await client.delete("/_sandbox/faults")).raise_for_status()


@pytest.fixture
async def owner(runtime: Runtime) -> Tenant:
    return await runtime.tenants.service.create("acme")


async def swept(runtime: Runtime, clock: Clock, after: timedelta) -> None:
    clock.advance(after)
    await drained(runtime, WorkQueue.SWEEP)


def counted(outcome: str) -> float:
    return float(metrics.RECONCILIATIONS.labels(outcome)._value.get())


def bills_read() -> float:
    return float(metrics.UPSTREAM_CALLS.labels("billing", "200")._value.get())


async def money(runtime: Runtime, owner: Tenant) -> tuple[int, int]:
    standing = await runtime.tenants.usage.month(owner.id)
    return standing.held, standing.spent


async def test_a_lost_answers_video_is_delivered(
    runtime: Runtime, clock: Clock, owner: Tenant, sandbox_url: str
) -> None:
    g = await unconfirmed.unconfirmed(runtime, owner, webhook_url="http://127.0.0.1:9000/hook")
    (job,) = await finished(sandbox_url)
    before = counted("adopted")

    await swept(runtime, clock, FIRST_LOOK)

    adopted = await stored(runtime, g)
    assert (adopted.status, adopted.request_id) == (Status.SUBMITTED, job["request_id"])
    assert await runtime.redis.execute("ZSCORE", keys.due(WorkQueue.POLL), g.id) is not None
    await drained(runtime, WorkQueue.POLL)  # at once: time has not moved
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


async def test_nobody_looks_before_a_bill_can_be_there(
    runtime: Runtime, clock: Clock, owner: Tenant, sandbox_url: str
) -> None:
    g = await unconfirmed.unconfirmed(runtime, owner)
    await finished(sandbox_url)
    before = bills_read()
    await swept(runtime, clock, FIRST_LOOK - timedelta(seconds=1))
    assert (await stored(runtime, g)).status is Status.UNCONFIRMED
    assert bills_read() == before


async def test_it_is_looked_for_again_at_the_pace_that_is_set(
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


async def test_one_reading_serves_all_that_are_due(runtime: Runtime, clock: Clock, owner: Tenant) -> None:
    lost = [await unconfirmed.unconfirmed(runtime, owner, f"{NEVER_TAKEN} {n}") for n in range(4)]
    before = bills_read()
    await swept(runtime, clock, FIRST_LOOK)
    assert bills_read() == before + 1
    assert {(await stored(runtime, g)).status for g in lost} == {Status.UNCONFIRMED}


async def test_two_that_look_alike_are_left_alone_until_one_is_resolved(
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
    assert counted("ambiguous") == before + 2, "told once each"

    await runtime.operations.unconfirmed.adopt(first.id, jobs["first"], "by its prompt")
    await swept(runtime, clock, timedelta(minutes=1))

    assert (await stored(runtime, second)).request_id == jobs["second"], "and now only one is left"
    for g in (first, second):
        assert (await polled_to_the_end(runtime, clock, g)).status is Status.SUCCEEDED
    assert (await runtime.operations.audit.run()).clean
    assert len(await oracle(sandbox_url)) == 2


async def test_units_tell_whose_it_is(runtime: Runtime, clock: Clock, owner: Tenant, sandbox_url: str) -> None:
    short = await unconfirmed.unconfirmed(runtime, owner, f"{unconfirmed.LOST} short", duration=5)
    long = await unconfirmed.unconfirmed(runtime, owner, f"{unconfirmed.LOST} long", duration=15)
    jobs = {job["prompt"].split()[-1]: job["request_id"] for job in await finished(sandbox_url, 2)}
    await swept(runtime, clock, FIRST_LOOK)
    assert (await stored(runtime, short)).request_id == jobs["short"]
    assert (await stored(runtime, long)).request_id == jobs["long"]


async def test_what_is_known_to_be_ours_is_nobody_elses(
    runtime: Runtime, clock: Clock, owner: Tenant, sandbox_url: str
) -> None:
    """A generation that was never taken beside one that went the ordinary way."""
    lost = await unconfirmed.unconfirmed(runtime, owner, NEVER_TAKEN)
    known = await unconfirmed.created(runtime, owner, "sandbox:no-video")
    await drained(runtime, WorkQueue.DISPATCH)
    await finished(sandbox_url)
    await swept(runtime, clock, FIRST_LOOK)
    assert (await stored(runtime, lost)).status is Status.UNCONFIRMED
    assert (await polled_to_the_end(runtime, clock, known)).status is Status.SUCCEEDED


@pytest.mark.parametrize("rival", ["submitting", "given_up", "given_up_and_forgotten"])
async def test_whoever_else_may_have_caused_it_keeps_it_from_being_given(
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


async def test_a_request_taken_meanwhile_is_not_given_again(
    runtime: Runtime, clock: Clock, owner: Tenant, sandbox_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the reading and the move: the script has the last word."""
    g = await unconfirmed.unconfirmed(runtime, owner)
    (job,) = await finished(sandbox_url)

    async def nothing(*_: object) -> set[str]:
        return set()

    monkeypatch.setattr(SubmissionStore, "ours", nothing)
    await runtime.redis.execute("ZADD", keys.SUBMITTED, int(clock().timestamp() * 1000), job["request_id"])
    await drained(runtime, WorkQueue.SWEEP)
    await swept(runtime, clock, FIRST_LOOK)
    assert (await stored(runtime, g)).status is Status.UNCONFIRMED


async def test_two_processes_find_it_and_one_adopts(
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


async def test_an_erased_end_users_job_is_found_and_stopped(
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


async def test_what_was_never_billed_costs_nothing(
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


async def test_what_may_have_been_billed_counts_as_spent(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings, sandbox_url: str
) -> None:
    lost = [await unconfirmed.unconfirmed(runtime, owner, f"{unconfirmed.LOST} {n}") for n in range(2)]
    await finished(sandbox_url, 2)
    await swept(runtime, clock, settings.unconfirmed_deadline)
    for g in lost:
        ended = await stored(runtime, g)
        assert ended.error is not None
        assert (ended.error.code, ended.actual_cost) == ("submission_unconfirmed", ended.estimated_cost)


async def test_ambiguous_bill_at_the_deadline_is_paid_and_lost(
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


async def test_bill_that_cannot_be_read_delays_the_end_by_a_deadline(
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


async def test_the_retry_may_still_prove_it_unbilled(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings, fal: httpx.AsyncClient
) -> None:
    g = await unconfirmed.unconfirmed(runtime, owner, NEVER_TAKEN)
    await fal.post("/_sandbox/faults", json={"account": {"kind": "locked", "times": 1}})
    await swept(runtime, clock, settings.unconfirmed_deadline)
    await swept(runtime, clock, settings.reconcile_every)
    ended = await stored(runtime, g)
    assert (ended.status, ended.actual_cost) == (Status.FAILED, 0)


async def test_another_endpoints_bill_says_nothing_about_it(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings
) -> None:
    """Sent before the model was set to another one: its bill is not the one that is read."""
    g = await unconfirmed.unconfirmed(runtime, owner, NEVER_TAKEN)
    elsewhere = replace(g, model="bytedance/seedance-2.0/fast/image-to-video")
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

    async def test_no_bill_proves_nothing_while_the_job_may_run(
        self, runtime: Runtime, clock: Clock, owner: Tenant
    ) -> None:
        g = await unconfirmed.unconfirmed(runtime, owner, NEVER_TAKEN)
        await swept(runtime, clock, timedelta(minutes=10))
        ended = await stored(runtime, g)
        assert (ended.status, ended.actual_cost) == (Status.FAILED, ended.estimated_cost)


class TestWithoutAnAdminKey:
    @pytest.fixture
    def settings(self, redis_url: str, sandbox_url: str) -> Settings:
        return factories.sandbox_settings(redis_url, sandbox_url)

    async def test_it_waits_for_an_operator(
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

        await drained(runtime, WorkQueue.SWEEP)
        assert (await stored(runtime, g)).status is adopted.status is Status.SUBMITTED, "its deadline counts anew"
        await drained(runtime, WorkQueue.POLL)
        assert (await stored(runtime, g)).status is Status.SUCCEEDED
        assert len(await oracle(sandbox_url)) == 1


# --- what is kept -----------------------------------------------------------------------------------------------------


async def scores(runtime: Runtime, key: str) -> list[str]:
    return [name.decode() for name in await runtime.redis.execute("ZRANGE", key, 0, -1)]


async def test_requests_are_forgotten_once_nothing_can_be_mistaken_for_them(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings
) -> None:
    kept = settings.unconfirmed_deadline + settings.upstream_deadline + timedelta(hours=24)
    for key in (keys.SUBMITTED, keys.GIVEN_UP):
        for name, age in (("old", kept + timedelta(minutes=1)), ("young", kept - timedelta(minutes=2))):
            await runtime.redis.execute("ZADD", key, int((clock() - age).timestamp() * 1000), name)
    await drained(runtime, WorkQueue.SWEEP)
    assert await scores(runtime, keys.SUBMITTED) == await scores(runtime, keys.GIVEN_UP) == ["young"]
    await swept(runtime, clock, timedelta(minutes=2, seconds=1))
    assert await scores(runtime, keys.SUBMITTED) == []


async def test_beside_an_unconfirmed_one_they_are_kept_for_as_long_as_it_is(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings
) -> None:
    """Nobody swept for days; now each job of those days must still be known for what it is."""
    await unconfirmed.given_up_as_lost(runtime, owner, clock)
    await runtime.redis.execute("ZADD", keys.SUBMITTED, int(clock().timestamp() * 1000), "beside-it")
    clock.advance(10 * settings.unconfirmed_deadline)
    await runtime.queues.sweeper.claim(1)
    assert await scores(runtime, keys.SUBMITTED) == ["beside-it"]


@pytest.mark.parametrize("late", [timedelta(0), timedelta(days=3)])
async def test_a_sweep_long_away_mistakes_nothing(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings, sandbox_url: str, late: timedelta
) -> None:
    lost = await unconfirmed.unconfirmed(runtime, owner, NEVER_TAKEN)
    await unconfirmed.created(runtime, owner, "sandbox:no-video")
    await drained(runtime, WorkQueue.DISPATCH)
    await finished(sandbox_url)
    await swept(runtime, clock, settings.unconfirmed_deadline + late)
    ended = await stored(runtime, lost)
    assert (ended.status, ended.request_id, ended.actual_cost) == (Status.FAILED, None, 0)


async def test_an_entry_that_is_not_due_goes_back_to_its_time(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings
) -> None:
    g = await unconfirmed.created(runtime, owner, "sandbox:hang")
    await runtime.redis.execute("ZADD", keys.due(WorkQueue.SWEEP), 1, g.id)
    await drained(runtime, WorkQueue.SWEEP)
    score: Any = await runtime.redis.execute("ZSCORE", keys.due(WorkQueue.SWEEP), g.id)
    assert float(score) == g.expires_at.timestamp() * 1000
