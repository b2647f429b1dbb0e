"""What happens to a generation, for whoever looks on: one read of the store per change, however many look."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from service.domain import ids
from service.domain.generation import Generation
from service.domain.generation_view import QueueView
from service.domain.tenant import Tenant
from service.errors import NotFound, StoreUnavailable, TooManyStreams
from service.observability import metrics
from service.store.generations.changes import ChangeFeed, Subscription
from service.store.generations.generations import GenerationStore
from service.usecases.generations.concurrency import FULL_SECONDS, ConcurrencyLimiter
from service.usecases.generations.queue_estimate import QueueEstimator

#: A look without a word of change: others' moves change a place in the queue, and publish/subscribe promises nothing.
_LOOK_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A generation as it was at one moment."""

    generation: Generation
    queue: QueueView | None


class Feed(Subscription):
    """The latest sight of one generation, for all streams of it in this process.

    It has no task of its own: thousands of feeds are open at a time, and nearly all of them are silent.
    """

    __slots__ = ("_again", "_changes", "_id", "_looking", "_outlook", "_store", "_timer", "ears", "sight", "tenant")

    def __init__(
        self, tenant: Tenant, generation_id: str, store: GenerationStore, changes: ChangeFeed, outlook: QueueEstimator
    ) -> None:
        super().__init__()
        self.tenant = tenant
        """As it was when one of its streams looked last."""
        self.sight: Snapshot | None = None
        """None before the first look, and when the generation is gone: erased, or its retention is over."""
        self.ears: set[Subscription] = set()
        """They ring when there is another sight, and when nobody may wait any more."""
        self._id = generation_id
        self._store = store
        self._changes = changes
        self._outlook = outlook
        self._looking: asyncio.Task[None] | None = None
        self._again = False
        self._timer: asyncio.TimerHandle | None = None
        changes.add(generation_id, self)

    @property
    def stopped(self) -> bool:
        """The process is about to: say what is known, and go."""
        return self._changes.released

    def close(self) -> None:
        self._changes.discard(self._id, self)
        if self._timer is not None:
            self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()

    async def look(self) -> None:
        """Raises StoreUnavailable."""
        g = await self._store.load(self._id)
        if g is None or g.tenant_id != self.tenant.id:
            self._see(None)
        else:
            self._see(Snapshot(g, await self._outlook.of(self.tenant, g)))

    def ring(self) -> None:
        """It moved, or may have: look, and look again where it moved meanwhile."""
        self._again = True
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="feed")
        if self.stopped:
            self._tell()

    def look_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.sight is not None and not self.sight.generation.is_terminal:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self.ring)

    async def _look(self) -> None:
        try:
            while self._again:
                self._again = False
                with suppress(StoreUnavailable):
                    await self.look()
        finally:
            self._looking = None
        self.look_later()

    def _see(self, now: Snapshot | None) -> None:
        seen = self.sight
        if now is not None and seen is not None:
            if now.generation.version < seen.generation.version:
                return  # two looked at once, and the slower one was first
            if now.generation.version == seen.generation.version and now.queue == seen.queue:
                return
        self.sight = now
        self._tell()

    def _tell(self) -> None:
        for ear in self.ears:
            ear.notify()


class StreamHub:
    def __init__(
        self, generations: GenerationStore, changes: ChangeFeed, outlook: QueueEstimator, *, most_streams: int
    ) -> None:
        self._generations = generations
        self._changes = changes
        self._outlook = outlook
        self._feeds: dict[tuple[str, str], Feed] = {}
        self._places = ConcurrencyLimiter(most_streams)

    async def enter(self, tenant: Tenant, generation_id: str, ear: Subscription) -> Feed:
        """The feed of a generation, looked at already, for one more reader, who has to ``leave``.

        Raises:
            NotFound: unknown, or another tenant's.
            TooManyStreams: the tenant has as many open at this process as it may.

        """
        if not ids.is_id(ids.GENERATION, generation_id):
            raise NotFound("There is no such generation.")
        if not self._places.take(tenant.id):
            raise TooManyStreams(f"More than {self._places.most} event streams are open.", retry_after=FULL_SECONDS)
        # The tenant is part of the name: nobody's look can disturb what another tenant sees.
        name = (tenant.id, generation_id)
        feed = self._feeds.get(name)
        if feed is None:
            feed = self._feeds[name] = Feed(tenant, generation_id, self._generations, self._changes, self._outlook)
        feed.ears.add(ear)
        metrics.EVENT_STREAMS.inc()
        try:
            await feed.look()
        except BaseException:
            self.leave(tenant, generation_id, ear)
            raise
        if feed.sight is None:
            self.leave(tenant, generation_id, ear)
            raise NotFound("There is no such generation.")
        feed.look_later()
        return feed

    def leave(self, tenant: Tenant, generation_id: str, ear: Subscription) -> None:
        metrics.EVENT_STREAMS.dec()
        self._places.give_back(tenant.id)
        feed = self._feeds[tenant.id, generation_id]
        feed.ears.discard(ear)
        if not feed.ears:
            feed.close()
            del self._feeds[tenant.id, generation_id]
