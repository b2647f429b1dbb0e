"""The runner of a drain: bounded, undisturbed by a bad item, and finished within its grace."""

import asyncio
from datetime import UTC, datetime

from service.domain.work_queue import WorkQueue
from service.store.queues.due import Claim, Claimed
from service.usecases.lifecycle.consumer import Consumer


class Work:
    """A due set in memory, and workers that wait until they are let go."""

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


async def test_it_takes_no_more_than_it_has_room_for_and_goes_on_when_it_has() -> None:
    work = Work(50)
    runner = Consumer(WorkQueue.POLL, work.claim, work.work, capacity=7)
    await asyncio.gather(*(runner.run() for _ in range(5)))
    await asyncio.sleep(0)
    assert (runner.busy, len(work.waiting)) == (7, 43)
    work.go.set()
    async with asyncio.timeout(30):
        await work.all_ended.wait()
    assert work.most == 7
    assert len(work.done) == 49


async def test_closing_waits_for_what_runs_and_takes_nothing_new() -> None:
    work = Work(5)
    runner = Consumer(WorkQueue.POLL, work.claim, work.work, capacity=3)
    await runner.run()
    asyncio.get_running_loop().call_later(0.02, work.go.set)
    await runner.close(grace=5)
    assert len(work.done) == 3
    await runner.run()
    assert len(work.waiting) == 2


async def test_closing_lets_a_claim_under_way_come_to_its_end() -> None:
    """What was claimed meanwhile is begun with everything still open, and awaited."""
    work, let_go = Work(2), asyncio.Event()
    work.go.set()

    async def slow_claim(most: int) -> Claim:
        await let_go.wait()
        return await work.claim(most)

    runner = Consumer(WorkQueue.DISPATCH, slow_claim, work.work, capacity=3)
    claiming = asyncio.create_task(runner.run())
    await asyncio.sleep(0)
    closing = asyncio.create_task(runner.close(grace=5))
    await asyncio.sleep(0)
    assert not closing.done()
    let_go.set()
    await asyncio.gather(claiming, closing)
    assert (runner.busy, work.done) == (0, ["gen_0", "gen_1"])


async def test_what_outlasts_the_grace_is_cut_off() -> None:
    work = Work(2)
    runner = Consumer(WorkQueue.POLL, work.claim, work.work, capacity=3)
    await runner.run()
    await runner.close(grace=0.01)
    assert (runner.busy, work.done) == (0, [])
