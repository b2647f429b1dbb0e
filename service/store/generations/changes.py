"""Word of generations that moved, so that a waiting caller hears at once instead of asking again and again."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Final, Self

from service.errors import StoreUnavailable
from service.observability import log
from service.store import keys
from service.store.redis.client import Redis

#: Pause before a lost subscription is opened again.
_RECONNECT_SECONDS: Final = 0.5


class Subscription:
    """One waiter's ear for one generation. Thousands may be open: an ``asyncio.Event`` would weigh twice as much."""

    __slots__ = ("_rung", "_waiter")

    def __init__(self) -> None:
        self._rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        self._rung = True
        self._let_go()

    async def moved(self, *, within: float) -> None:
        """Returns when it moved or the time is up; which of the two, the record says."""
        if not self._rung:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = loop.call_later(within, self._let_go)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        self._rung = False

    def _let_go(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class ChangeFeed:
    """One subscription per process, however many wait."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._watches: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._released = False
        self._task: asyncio.Task[None] | None = None
        self._log = log.get(__name__)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._listen_forever(), name="changes")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @contextlib.contextmanager
    def watch(self, generation_id: str) -> Iterator[Subscription]:
        """Begin before reading the record, or a move in between goes unheard."""
        watch = Subscription()
        self.add(generation_id, watch)
        try:
            yield watch
        finally:
            self.discard(generation_id, watch)

    def add(self, generation_id: str, watch: Subscription) -> None:
        self._watches[generation_id].add(watch)

    def discard(self, generation_id: str, watch: Subscription) -> None:
        self._watches[generation_id].discard(watch)
        if not self._watches[generation_id]:
            del self._watches[generation_id]

    def release(self) -> None:
        """Let everybody go who waits: they answer with what is known, and nobody waits from now on."""
        self._released = True
        for watches in self._watches.values():
            for watch in watches:
                watch.ring()

    @property
    def released(self) -> bool:
        return self._released

    async def _listen_forever(self) -> None:
        told = False
        while True:
            try:
                async with self._redis.subscribed(keys.CHANGES) as messages:
                    told = False
                    async for message in messages:
                        for watch in self._watches.get(message.decode(), ()):
                            watch.ring()
            except StoreUnavailable as error:
                if not told:  # once for each time that it is away
                    self._log.warning("no word of changes; waiting callers look by themselves", error=error.detail)
                told = True
            await asyncio.sleep(_RECONNECT_SECONDS)
