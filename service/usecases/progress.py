"""What happens to a generation, for whoever looks on: one read of the store per change, however many look."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from service import metrics
from service.domain import ids
from service.domain.generation import Generation
from service.domain.tenant import Tenant
from service.domain.view import QueueView
from service.errors import NotFound, StoreUnavailable, TooManyStreams
from service.store.changes import Changes, Watch
from service.store.generations import GenerationStore
from service.usecases.outlook import Outlook

#: A look without a word of change: others' moves change a place in the queue, and publish/subscribe promises nothing.
_LOOK_SECONDS: Final = 2.0
#: One stream too many: another may have ended after this.
_FULL_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Sight:
    """A generation as it was at one moment."""

    generation: Generation
    queue: QueueView | None


class Feed:
    """The latest sight of one generation, for all streams of it in this process."""

    def __init__(self, tenant: Tenant, store: GenerationStore, changes: Changes, outlook: Outlook) -> None:
        self.tenant = tenant
        """As it was when one of its streams looked last."""
        self.sight: Sight | None = None
        """None before the first look, and when the generation is gone: erased, or its retention is over."""
        self.ears: set[Watch] = set()
        """They ring when there is another sight, and when nobody may wait any more."""
        self._store = store
        self._changes = changes
        self._outlook = outlook
        self._task: asyncio.Task[None] | None = None

    @property
    def stopped(self) -> bool:
        """The process is about to: say what is known, and go."""
        return self._changes.released

    async def look(self, generation_id: str) -> None:
        """Raises StoreUnavailable."""
        g = await self._store.load(generation_id)
        if g is None or g.tenant_id != self.tenant.id:
            self._see(None)
        else:
            self._see(Sight(g, await self._outlook.of(self.tenant, g)))

    def follow(self, generation_id: str) -> None:
        """Look at every change from now on."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow(generation_id), name="feed")

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _follow(self, generation_id: str) -> None:
        with self._changes.watch(generation_id) as watch:
            while not self.stopped and self.sight is not None and not self.sight.generation.is_terminal:
                with suppress(StoreUnavailable):
                    await self.look(generation_id)
                await watch.moved(within=_LOOK_SECONDS)
        self._ring()

    def _see(self, now: Sight | None) -> None:
        seen = self.sight
        if now is not None and seen is not None:
            if now.generation.version < seen.generation.version:
                return  # two looked at once, and the slower one was first
            if now.generation.version == seen.generation.version and now.queue == seen.queue:
                return
        self.sight = now
        self._ring()

    def _ring(self) -> None:
        for ear in self.ears:
            ear.ring()


class Progress:
    def __init__(self, generations: GenerationStore, changes: Changes, outlook: Outlook, *, most_streams: int) -> None:
        self._generations = generations
        self._changes = changes
        self._outlook = outlook
        self._most_streams = most_streams
        self._feeds: dict[str, Feed] = {}
        self._open: Counter[str] = Counter()

    @asynccontextmanager
    async def stream(self, tenant: Tenant, generation_id: str) -> AsyncIterator[tuple[Feed, Watch]]:
        """The feed of a generation, looked at already, and the ear of one reader.

        Raises:
            NotFound: unknown, or another tenant's.
            TooManyStreams: the tenant has as many open at this process as it may.

        """
        if not ids.is_id(ids.GENERATION, generation_id):
            raise NotFound("There is no such generation.")
        if self._open[tenant.id] >= self._most_streams:
            raise TooManyStreams(f"More than {self._most_streams} event streams are open.", retry_after=_FULL_SECONDS)
        # The tenant is part of the name: nobody's look can disturb what another tenant sees.
        name, ear = f"{tenant.id} {generation_id}", Watch()
        feed = self._feeds.get(name)
        if feed is None:
            feed = self._feeds[name] = Feed(tenant, self._generations, self._changes, self._outlook)
        feed.ears.add(ear)
        self._open[tenant.id] += 1
        metrics.EVENT_STREAMS.inc()
        try:
            await feed.look(generation_id)
            if feed.sight is None:
                raise NotFound("There is no such generation.")
            feed.follow(generation_id)
            yield feed, ear
        finally:
            metrics.EVENT_STREAMS.dec()
            self._leave(tenant.id, name, feed, ear)

    def _leave(self, tenant_id: str, name: str, feed: Feed, ear: Watch) -> None:
        self._open[tenant_id] -= 1
        if not self._open[tenant_id]:
            del self._open[tenant_id]
        feed.ears.discard(ear)
        if not feed.ears:
            feed.close()
            del self._feeds[name]
