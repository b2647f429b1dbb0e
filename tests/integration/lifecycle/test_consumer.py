"""Consumer of a work queue: bounded concurrency, isolation of a failing item, close within the grace."""

import asyncio
from datetime import UTC, datetime

from service.domain.work_queue import WorkQueue
from service.store.queues.due import Claim, Claimed
from service.usecases.lifecycle.consumer import Consumer


class Work:
    """A due set in memory, whose items are processed until ``go`` is set."""

    def __init__(self, count: int) -> None:
        self.waiting = [Claimed(f"gen_{n}", datetime.now(UTC)) for n in range(count)]
        self.running: set[str] = set()
        self.done: list[str] = []
        self.most = 0
        self.go = asyncio.Event()
        self.all_ended = asyncio.Event()
        self._left = count

    async def claim(self, most: int) -> Claim:
        await asyncio.sleep(0)
        taken, self.waiting = self.waiting[:most], self.waiting[most:]
        return Claim(taken, len(self.waiting))

    async def work(self, item: Claimed) -> None:
        self.running.add(item.id)
        self.most = max(self.most, len(self.running))
        await self.go.wait()
        self.running.discard(item.id)
        self._left -= 1
        if self._left == 0:
            self.all_ended.set()
        if item.id == "gen_3":
            raise ValueError("a bad item")
        self.done.append(item.id)


async def test_consumer_at_capacity_claims_when_an_item_ends() -> None:
    work = Work(50)
    consumer = Consumer(WorkQueue.POLL, work.claim, work.work, capacity=7)
    await asyncio.gather(*(consumer.run() for _ in range(5)))
    await asyncio.sleep(0)
    assert (consumer.busy, len(work.waiting)) == (7, 43)
    work.go.set()
    async with asyncio.timeout(30):
        await work.all_ended.wait()
    assert work.most == 7
    assert len(work.done) == 49


async def test_consumer_close_waits_and_claims_nothing() -> None:
    work = Work(5)
    consumer = Consumer(WorkQueue.POLL, work.claim, work.work, capacity=3)
    await consumer.run()
    asyncio.get_running_loop().call_later(0.02, work.go.set)
    await consumer.close(grace=5)
    assert len(work.done) == 3
    await consumer.run()
    assert len(work.waiting) == 2


async def test_consumer_close_finishes_a_claim_in_progress() -> None:
    """Items of a claim in progress are started with all connections open, and awaited."""
    work, proceed = Work(2), asyncio.Event()
    work.go.set()

    async def slow_claim(most: int) -> Claim:
        await proceed.wait()
        return await work.claim(most)

    consumer = Consumer(WorkQueue.DISPATCH, slow_claim, work.work, capacity=3)
    claiming = asyncio.create_task(consumer.run())
    await asyncio.sleep(0)
    closing = asyncio.create_task(consumer.close(grace=5))
    await asyncio.sleep(0)
    assert not closing.done()
    proceed.set()
    await asyncio.gather(claiming, closing)
    assert (consumer.busy, work.done) == (0, ["gen_0", "gen_1"])


async def test_consumer_close_cancels_items_after_grace() -> None:
    work = Work(2)
    consumer = Consumer(WorkQueue.POLL, work.claim, work.work, capacity=3)
    await consumer.run()
    await consumer.close(grace=0.01)
    assert (consumer.busy, work.done) == (0, [])
