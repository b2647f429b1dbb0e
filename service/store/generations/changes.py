"""The feed of transitions, so that a waiting caller is notified at once and does not poll."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Final, Self

from service.repeating import repeating
from service.store import keys
from service.store.redis.client import Redis

#: Pause before a lost subscription is opened again.
_RECONNECT_SECONDS: Final = 0.5


class Subscription:
    """One caller that waits for one generation.

    Thousands may be open: an ``asyncio.Event`` would take twice the memory.
    """

    __slots__ = ("_is_notified", "_waiter")

    def __init__(self) -> None:
        self._is_notified = False
        self._waiter: asyncio.Future[None] | None = None

    def notify(self) -> None:
        """Wake up the caller, or its next wait."""
        self._is_notified = True
        self._wake_up()

    async def wait(self, *, within: float) -> None:
        """Return after a transition, or after ``within`` seconds; the record says which."""
        if not self._is_notified:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = loop.call_later(within, self._wake_up)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        self._is_notified = False

    @property
    def is_waiting(self) -> bool:
        return self._waiter is not None

    def _wake_up(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class ChangeFeed:
    """One Redis subscription for each process, for any number of waiting callers."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._subscriptions: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._released = False
        self._listening = repeating(self._listen, name="changes", pause=_RECONNECT_SECONDS)

    async def __aenter__(self) -> Self:
        await self._listening.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listening.__aexit__(None, None, None)

    @contextlib.contextmanager
    def watch(self, generation_id: str) -> Iterator[Subscription]:
        """Subscribe to one generation. Begin before the record is read, or a transition in between is missed."""
        subscription = Subscription()
        self.add(generation_id, subscription)
        try:
            yield subscription
        finally:
            self.discard(generation_id, subscription)

    def add(self, generation_id: str, subscription: Subscription) -> None:
        """Notify a subscription of the generation's transitions."""
        self._subscriptions[generation_id].add(subscription)

    def discard(self, generation_id: str, subscription: Subscription) -> None:
        """End a subscription."""
        self._subscriptions[generation_id].discard(subscription)
        if not self._subscriptions[generation_id]:
            del self._subscriptions[generation_id]

    def release(self) -> None:
        """Wake up every waiting caller for a shutdown: callers return the known state and do not wait again."""
        self._released = True
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.notify()

    @property
    def waiting_callers(self) -> int:
        """Number of callers that wait at present."""
        return sum(each.is_waiting for subscriptions in self._subscriptions.values() for each in subscriptions)

    @property
    def released(self) -> bool:
        """Whether the process shuts down."""
        return self._released

    async def _listen(self) -> None:
        """Notify subscriptions until the connection is lost. Raises StoreUnavailable."""
        async with self._redis.subscribed(keys.CHANGES) as messages:
            async for message in messages:
                for subscription in self._subscriptions.get(message.decode(), ()):
                    subscription.notify()
