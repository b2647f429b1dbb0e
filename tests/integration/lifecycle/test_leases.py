"""Leases of each work queue: renewed while their holder lives, due again within seconds after it has died."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, suppress
from datetime import timedelta
from typing import Any, Final

import pytest

from service.config.settings import Settings
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.runtime import Runtime, open_runtime
from service.store import keys
from service.store.queues.due import Claim, Claimed
from service.store.queues.leases import LeaseStore
from service.store.redis.client import Redis
from service.usecases.lifecycle.consumer import Consumer
from service.usecases.lifecycle.leases import LEASE, LeaseKeeper
from tests.support import factories
from tests.support.factories import Clock
from tests.support.unconfirmed import created
from tests.support.waiting import process_due, until

COUNT: Final = 3
SECOND: Final = timedelta(seconds=1)
#: A dead holder's items are due again within this time.
TAKEOVER: Final = timedelta(seconds=5)
#: Longer than any lease of a process that renews nothing.
SLOW: Final = timedelta(seconds=35)

Prepare = Callable[[Runtime, Clock, Tenant], Awaitable[None]]


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url)


@pytest.fixture
async def owner(runtime: Runtime) -> Tenant:
    return await runtime.tenants.service.create("acme")


@pytest.fixture
async def other(settings: Settings, clock: Clock) -> AsyncIterator[Runtime]:
    """A second worker."""
    async with open_runtime(settings, clock=clock) as opened:
        yield opened


async def _queued(runtime: Runtime, _: Clock, owner: Tenant) -> None:
    for n in range(COUNT):
        await created(runtime, owner, f"sandbox:hang sandbox:no-video {n}")


async def _at_fal(runtime: Runtime, clock: Clock, owner: Tenant) -> None:
    await _queued(runtime, clock, owner)
    while int(await runtime.redis.execute("ZCARD", keys.due(WorkQueue.POLL))) < COUNT:
        await process_due(runtime, WorkQueue.DISPATCH)
    clock.advance(timedelta(seconds=20))


async def _announced(runtime: Runtime, clock: Clock, owner: Tenant) -> None:
    made = [factories.delivery(tenant_id=owner.id, endpoint_id=f"whe_{n}") for n in range(COUNT)]
    g = factories.generation(tenant_id=owner.id)
    await runtime.stores.generations.create(g, factories.due(clock()))
    finished = await runtime.stores.generations.finish(
        g.canceled(0, clock()), factories.due(clock() + timedelta(days=9)), made, now=clock()
    )
    assert finished.won


async def _overdue(runtime: Runtime, clock: Clock, owner: Tenant) -> None:
    await _queued(runtime, clock, owner)
    clock.advance(runtime.settings.queue_expiry + SECOND)


PREPARE: Final[dict[WorkQueue, Prepare]] = {
    WorkQueue.DISPATCH: _queued,
    WorkQueue.POLL: _at_fal,
    WorkQueue.DELIVER: _announced,
    WorkQueue.SWEEP: _overdue,
}


@pytest.fixture(params=list(WorkQueue))
def work_queue(request: pytest.FixtureRequest) -> WorkQueue:
    return WorkQueue(request.param)


async def _claimed(runtime: Runtime, work_queue: WorkQueue) -> list[Claimed]:
    """Claim without processing, like a worker that dies after its claim."""
    return (await runtime.queues.consumers[work_queue].claim(10)).taken


def _keeper(runtime: Runtime, work_queue: WorkQueue) -> LeaseKeeper:
    found = runtime.queues.consumers[work_queue].leases
    assert found is not None
    return found


async def test_lease_of_slow_living_holder_is_renewed(
    runtime: Runtime, other: Runtime, clock: Clock, owner: Tenant, work_queue: WorkQueue
) -> None:
    await PREPARE[work_queue](runtime, clock, owner)
    taken, keeper = await _claimed(runtime, work_queue), _keeper(runtime, work_queue)
    assert len(taken) == COUNT
    with ExitStack() as work:
        for item in taken:
            work.enter_context(keeper.held(item))
        for _ in range(SLOW // SECOND):
            clock.advance(SECOND)
            await keeper.renew()
            assert await _claimed(other, work_queue) == []
    clock.advance(TAKEOVER)
    assert {item.id for item in await _claimed(other, work_queue)} == {item.id for item in taken}


async def test_lease_of_dead_holder_ends_in_five_seconds(
    runtime: Runtime, other: Runtime, clock: Clock, owner: Tenant, work_queue: WorkQueue
) -> None:
    await PREPARE[work_queue](runtime, clock, owner)
    taken = await _claimed(runtime, work_queue)
    assert len(taken) == COUNT
    clock.advance(LEASE - timedelta(milliseconds=1))
    assert await _claimed(other, work_queue) == []
    clock.advance(TAKEOVER - LEASE)
    assert {item.id for item in await _claimed(other, work_queue)} == {item.id for item in taken}


async def test_claim_without_reply_is_due_in_five_seconds(
    runtime: Runtime,
    other: Runtime,
    clock: Clock,
    owner: Tenant,
    work_queue: WorkQueue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Redis runs the claim's script, and the worker never receives the reply."""
    await PREPARE[work_queue](runtime, clock, owner)
    await runtime.queues.chores.trim_submissions()  # so that the claim below does not trim first
    run = Redis.run

    async def lose_reply(*arguments: Any, **options: Any) -> Any:
        await run(*arguments, **options)
        raise StoreUnavailable("The connection broke.")

    with monkeypatch.context() as patch:
        patch.setattr(Redis, "run", lose_reply)
        with pytest.raises(StoreUnavailable):
            await _claimed(runtime, work_queue)
    assert await _claimed(other, work_queue) == [], "leased by a claim without a reply"
    clock.advance(TAKEOVER)
    assert len(await _claimed(other, work_queue)) == COUNT


async def test_lease_claim_and_renewal_need_no_replica(
    runtime: Runtime, other: Runtime, clock: Clock, owner: Tenant, settings: Settings, work_queue: WorkQueue
) -> None:
    await PREPARE[work_queue](runtime, clock, owner)
    alone = settings.model_copy(update={"redis_wait_replicas": 1})
    async with open_runtime(alone, clock=clock) as worker:
        (first, *_), keeper = await _claimed(worker, work_queue), _keeper(worker, work_queue)
        with keeper.held(first):
            clock.advance(TAKEOVER - SECOND)
            await keeper.renew()
            clock.advance(SECOND)
            assert first.id not in {item.id for item in await _claimed(other, work_queue)}


class Fault(Exception):
    """An error in the code, not of Redis."""


@pytest.mark.parametrize(("error", "rest"), [(StoreUnavailable("gone"), LEASE), (Fault(), timedelta(seconds=30))])
async def test_lease_after_error_pauses_and_is_due_again(
    runtime: Runtime,
    other: Runtime,
    clock: Clock,
    owner: Tenant,
    work_queue: WorkQueue,
    error: Exception,
    rest: timedelta,
) -> None:
    async def work(_: Claimed) -> None:
        raise error

    await PREPARE[work_queue](runtime, clock, owner)
    consumer = Consumer(
        work_queue,
        runtime.queues.consumers[work_queue].claim,
        work,
        capacity=9,
        keep=lambda _: _keeper(runtime, work_queue),
    )
    await consumer.run()
    await consumer.idle()
    clock.advance(rest - timedelta(milliseconds=1))
    assert await _claimed(other, work_queue) == []
    clock.advance(timedelta(milliseconds=1))
    assert len(await _claimed(other, work_queue)) == COUNT


async def test_lease_is_renewed_only_while_work_lasts(redis: Redis, clock: Clock) -> None:
    """The renewal runs by itself: the test calls ``renew`` only at the end."""
    keeper, go = LeaseKeeper(LeaseStore(redis, WorkQueue.POLL), clock=clock, renew_every=0.01), asyncio.Event()
    lease_end = int((clock() + LEASE).timestamp() * 1000)
    await redis.execute("ZADD", keys.due(WorkQueue.POLL), lease_end, "gen_1")

    due = [Claimed("gen_1", clock(), lease_end)]

    async def claim(_: int) -> Claim:
        taken, due[:] = list(due), []
        return Claim(taken, 1)

    async def work(_: Claimed) -> None:
        await go.wait()

    async def score() -> int:
        return int(float(await redis.execute("ZSCORE", keys.due(WorkQueue.POLL), "gen_1")))

    consumer = Consumer(WorkQueue.POLL, claim, work, capacity=1, keep=lambda _: keeper)
    await consumer.run()
    clock.advance(3 * SECOND)
    await _becomes(score, lease_end + 3000)
    go.set()
    await consumer.idle()
    assert keeper.is_renewing

    async def is_idle() -> bool:
        return not keeper.is_renewing

    await until(is_idle)
    clock.advance(SECOND)
    await keeper.renew()
    assert await score() == lease_end + 3000


async def _becomes(score: Callable[[], Awaitable[int]], wanted: int) -> None:
    give_up = asyncio.get_running_loop().time() + 30
    while (found := await score()) != wanted:
        assert asyncio.get_running_loop().time() < give_up, found
        await asyncio.sleep(0.01)


async def test_lease_of_hanging_work_is_abandoned(
    runtime: Runtime, other: Runtime, clock: Clock, owner: Tenant
) -> None:
    await _at_fal(runtime, clock, owner)
    (first, *_) = await _claimed(runtime, WorkQueue.POLL)
    keeper = LeaseKeeper(LeaseStore(runtime.redis, WorkQueue.POLL), clock=clock, longest=-SECOND)
    with keeper.held(first):
        await keeper.renew()
        clock.advance(TAKEOVER)
        assert first.id in {item.id for item in await _claimed(other, WorkQueue.POLL)}
        await keeper.close()


async def test_lease_keeper_close_stops_renewal(runtime: Runtime, clock: Clock, owner: Tenant) -> None:
    await _at_fal(runtime, clock, owner)
    (first, *_), keeper = await _claimed(runtime, WorkQueue.POLL), _keeper(runtime, WorkQueue.POLL)
    with keeper.held(first), suppress(asyncio.CancelledError):
        await keeper.close()
        assert not keeper.is_renewing
