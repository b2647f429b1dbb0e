"""Waiting for a condition, by polls with a generous upper bound."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from service.domain.generation import Generation
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store import keys
from tests.support.factories import Clock

_WITHIN: Final = 20.0


class Patience:
    """Growing pauses between steps of a test's clock, while the sandbox works in real time.

    Without them, the clock would reach a deadline of hours while a busy sandbox has not finished.
    """

    def __init__(self) -> None:
        self._seconds = 0.01

    async def pause(self) -> None:
        await asyncio.sleep(self._seconds)
        self._seconds = min(self._seconds * 1.05, 0.5)


async def process_due(runtime: Runtime, work_queue: WorkQueue) -> None:
    """Process all items of a work queue that are due now."""
    await runtime.queues.run(work_queue)
    await runtime.queues.consumers[work_queue].idle()


async def stored(runtime: Runtime, g: Generation) -> Generation:
    """Return a generation as it is stored now."""
    found = await runtime.stores.generations.load(g.id)
    assert found is not None
    return found


async def dispatched(runtime: Runtime, g: Generation) -> Generation:
    """Process all submits that are due, and return the generation as it is stored then."""
    await process_due(runtime, WorkQueue.DISPATCH)
    return await stored(runtime, g)


async def polled_until(
    runtime: Runtime, clock: Clock, g: Generation, wanted: Callable[[Generation], bool], *, step: float = 2
) -> Generation:
    """Let ``step`` seconds pass and process the polls that are due, until the generation is as wanted."""
    patience = Patience()
    async with asyncio.timeout(60):
        while True:
            clock.advance(timedelta(seconds=step))
            await process_due(runtime, WorkQueue.POLL)
            if wanted(now := await stored(runtime, g)):
                return now
            await patience.pause()


async def until(condition: Callable[[], Awaitable[bool]], *, within: float = _WITHIN, every: float = 0.01) -> None:
    """``every``: seconds between two polls; more for a condition whose poll costs CPU."""
    async with asyncio.timeout(within):
        while True:
            if await condition():
                return
            await asyncio.sleep(every)


def eventually(condition: Callable[[], bool], *, within: float = _WITHIN) -> None:
    """Wait, in a test without an event loop."""
    give_up = time.monotonic() + within
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)


async def until_waiting(runtime: Runtime, *, callers: int = 1) -> None:
    """Wait until this many requests of the runtime wait for a change of a generation."""
    changes = runtime.connections.changes

    async def waiting() -> bool:
        return changes.waiting_callers >= callers

    await until(waiting)


async def until_subscribed(runtime: Runtime, *, processes: int = 1) -> None:
    """Wait until this many processes are subscribed to changes in Redis."""

    async def subscribed() -> bool:
        _, count = await runtime.redis.execute("PUBSUB", "NUMSUB", keys.CHANGES)
        return int(count) >= processes

    await until(subscribed)
