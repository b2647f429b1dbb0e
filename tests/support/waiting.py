"""Waiting for what a test needs before it goes on: polls with a generous upper bound."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from service.runtime import Runtime
from service.store import keys

_WITHIN: Final = 20.0


class Patience:
    """Pauses between steps of a passed-in clock while the sandbox works in real time: the longer it takes, the longer.

    A busy sandbox is not overtaken by a clock that reaches a deadline of hours in seconds.
    """

    def __init__(self) -> None:
        self._seconds = 0.01

    async def pause(self) -> None:
        await asyncio.sleep(self._seconds)
        self._seconds = min(self._seconds * 1.05, 0.5)


async def until(condition: Callable[[], Awaitable[bool]], *, within: float = _WITHIN) -> None:
    async with asyncio.timeout(within):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.01)


async def until_waiting(runtime: Runtime, *, callers: int = 1) -> None:
    """So many calls wait in this runtime for a generation to move, and are woken when one does."""
    changes = runtime.connections.changes

    async def waiting() -> bool:
        watches = [watch for several in changes._watches.values() for watch in several]
        return sum(watch._waiter is not None for watch in watches) >= callers

    await until(waiting)


async def until_subscribed(runtime: Runtime, *, processes: int = 1) -> None:
    """So many processes receive changes from Redis."""

    async def subscribed() -> bool:
        _, count = await runtime.redis.execute("PUBSUB", "NUMSUB", keys.CHANGES)
        return int(count) >= processes

    await until(subscribed)
