"""The poll budget: all workers together stay within the account's polls per second."""

import asyncio
from datetime import timedelta
from typing import Final

from service.domain import ids
from service.domain.generation import Generation
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime, open_runtime
from service.store import keys
from service.store.queues.due import DueStore
from service.store.redis.client import Redis
from tests.support import factories
from tests.support.factories import NOW, Clock
from tests.support.scripted_fal import scripted_fal
from tests.support.unconfirmed import created
from tests.support.waiting import process_due, stored

PER_SECOND: Final = 50
LEASE: Final = timedelta(seconds=60)
SECOND: Final = timedelta(seconds=1)


async def all_due(redis: Redis, count: int) -> None:
    """Make every poll overdue, as after an outage."""
    due = [argument for n in range(count) for argument in (ids.milliseconds(NOW), f"gen_{n}")]
    await redis.execute("ZADD", keys.due(WorkQueue.POLL), *due)


async def claimed(redis: Redis, clock: Clock, most: int = 100) -> int:
    store = DueStore(redis)
    return len((await store.claim_polls(now=clock(), most=most, lease=LEASE, per_second=PER_SECOND)).taken)


async def test_poll_claims_never_exceed_the_budget_after_an_outage(redis: Redis) -> None:
    await all_due(redis, 1000)
    clock, taken = Clock(NOW), []
    for _ in range(100):  # ten seconds, ten claims in each, by two workers at once
        taken.append(sum(await asyncio.gather(claimed(redis, clock), claimed(redis, clock))))
        clock.advance(SECOND / 10)
    assert taken[0] == PER_SECOND, "what one second allows, at once"
    for second in range(1, 10):
        assert sum(taken[second * 10 : second * 10 + 10]) <= PER_SECOND * 1.02
    assert sum(taken) >= PER_SECOND * 10, "and no less: the budget is used"


async def test_poll_budget_holds_after_clock_set_back(redis: Redis) -> None:
    await all_due(redis, 200)
    clock = Clock(NOW)
    assert await claimed(redis, clock) == PER_SECOND
    clock.advance(-timedelta(hours=1))
    assert await claimed(redis, clock) == 0
    clock.advance(timedelta(hours=1) + SECOND)
    assert await claimed(redis, clock) == PER_SECOND


async def test_poll_budget_below_one_per_second_holds(redis: Redis) -> None:
    await all_due(redis, 10)
    clock, count = Clock(NOW), 0
    for _ in range(100):
        claim = await DueStore(redis).claim_polls(now=clock(), most=5, lease=LEASE, per_second=0.1)
        count += len(claim.taken)
        clock.advance(SECOND)
    assert 10 <= count <= 11


async def test_cancel_refused_by_fal_is_repeated_with_backoff(redis_url: str, clock: Clock) -> None:
    async with (
        scripted_fal() as fal,
        open_runtime(factories.settings(redis_url, fal_queue_url=fal.url), clock=clock) as runtime,
    ):
        owner = await runtime.tenants.service.create("acme")
        g = await submitted(runtime, owner)
        await runtime.generations.canceller.cancel(owner, g.id)
        fal.refuses_cancel = True
        for _ in range(600):
            await process_due(runtime, WorkQueue.POLL)
            clock.advance(SECOND / 2)
        assert (await stored(runtime, g)).cancel_sent_at is None
        assert fal.calls.count("cancel") <= 5 * 60 / runtime.settings.poll_longest.total_seconds() * 1.2 + 3


async def submitted(runtime: Runtime, owner: Tenant) -> Generation:
    g = await created(runtime, owner, "x")
    await process_due(runtime, WorkQueue.DISPATCH)
    g = await stored(runtime, g)
    assert g.status is Status.SUBMITTED
    return g
