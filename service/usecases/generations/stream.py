"""Fan-out of a generation's changes to all its event streams, with one read of the store for each change."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from service.domain import ids
from service.domain.generation import Generation
from service.domain.generation_view import QueueView
from service.domain.tenant import Tenant
from service.errors import StoreUnavailable, TooManyStreams
from service.observability import metrics
from service.store.generations.changes import ChangeFeed, Subscription
from service.store.generations.generations import GenerationStore
from service.usecases.generations.concurrency import RETRY_AFTER, ConcurrencyLimiter
from service.usecases.generations.ownership import generation_not_found
from service.usecases.generations.queue_estimate import QueueEstimator

#: A feed reads the record this often without a notification: transitions of other generations change the queue
#: position, and publish/subscribe does not guarantee delivery.
_REREAD_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A generation as it was at one moment."""

    generation: Generation
    queue: QueueView | None


class Feed(Subscription):
    """The latest snapshot of one generation, for all streams of it in this process.

    A feed has no task of its own: thousands of feeds are open at once, and nearly all of them are idle.
    """

    __slots__ = (
        "_changes",
        "_estimator",
        "_id",
        "_read_again",
        "_reading",
        "_store",
        "_timer",
        "snapshot",
        "subscribers",
        "tenant",
    )

    def __init__(
        self, tenant: Tenant, generation_id: str, store: GenerationStore, changes: ChangeFeed, estimator: QueueEstimator
    ) -> None:
        super().__init__()
        self.tenant = tenant
        """The tenant as one of its streams read it last."""
        self.snapshot: Snapshot | None = None
        """None before the first read, and after the generation was deleted: by an erasure, or after its retention."""
        self.subscribers: set[Subscription] = set()
        """Notified of a new snapshot, and when the process stops."""
        self._id = generation_id
        self._store = store
        self._changes = changes
        self._estimator = estimator
        self._reading: asyncio.Task[None] | None = None
        self._read_again = False
        self._timer: asyncio.TimerHandle | None = None
        changes.add(generation_id, self)

    @property
    def stopped(self) -> bool:
        """Whether the process is about to stop: streams send what is known and end."""
        return self._changes.released

    def close(self) -> None:
        self._changes.discard(self._id, self)
        if self._timer is not None:
            self._timer.cancel()
        if self._reading is not None:
            self._reading.cancel()

    async def read(self) -> None:
        """Read the generation from the store. Raises StoreUnavailable."""
        g = await self._store.load(self._id)
        if g is None or g.tenant_id != self.tenant.id:
            self._set_snapshot(None)
        else:
            self._set_snapshot(Snapshot(g, await self._estimator.of(self.tenant, g)))

    def notify(self) -> None:
        """Read the generation, and once more if it changes during the read."""
        self._read_again = True
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_until_current(), name="feed")
        if self.stopped:
            self._notify_subscribers()

    def read_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.snapshot is not None and not self.snapshot.generation.is_terminal:
            self._timer = asyncio.get_running_loop().call_later(_REREAD_SECONDS, self.notify)

    async def _read_until_current(self) -> None:
        try:
            while self._read_again:
                self._read_again = False
                with suppress(StoreUnavailable):
                    await self.read()
        finally:
            self._reading = None
        self.read_later()

    def _set_snapshot(self, new: Snapshot | None) -> None:
        old = self.snapshot
        if new is not None and old is not None:
            if new.generation.version < old.generation.version:
                return  # of two concurrent reads, the slower one started first
            if new.generation.version == old.generation.version and new.queue == old.queue:
                return
        self.snapshot = new
        self._notify_subscribers()

    def _notify_subscribers(self) -> None:
        for subscriber in self.subscribers:
            subscriber.notify()


class StreamHub:
    """All feeds of a process. A feed is open while it has a subscriber."""

    def __init__(
        self, store: GenerationStore, changes: ChangeFeed, estimator: QueueEstimator, *, tenant_limit: int
    ) -> None:
        """``tenant_limit`` is the most streams of one tenant."""
        self._store = store
        self._changes = changes
        self._estimator = estimator
        self._feeds: dict[tuple[str, str], Feed] = {}
        self._limiter = ConcurrencyLimiter(tenant_limit)

    async def subscribe(self, tenant: Tenant, generation_id: str, subscriber: Subscription) -> Feed:
        """Return the feed of a generation, with a fresh snapshot. The caller must ``unsubscribe``.

        Raises:
            NotFound: there is none, or it is another tenant's.
            TooManyStreams: the tenant has reached its limit of streams at this process.

        """
        if not ids.is_id(ids.GENERATION, generation_id):
            raise generation_not_found()
        self._acquire(tenant)
        # The tenant is part of the key: a request of one tenant cannot change what another tenant receives.
        key = (tenant.id, generation_id)
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = Feed(tenant, generation_id, self._store, self._changes, self._estimator)
        feed.subscribers.add(subscriber)
        metrics.EVENT_STREAMS.inc()
        try:
            await feed.read()
        except BaseException:
            self.unsubscribe(tenant, generation_id, subscriber)
            raise
        if feed.snapshot is None:
            self.unsubscribe(tenant, generation_id, subscriber)
            raise generation_not_found()
        feed.read_later()
        return feed

    def demand_slot(self, tenant: Tenant) -> None:
        """Refuse what would need one more stream than the tenant may have. Raises TooManyStreams."""
        self._acquire(tenant)
        self._limiter.release(tenant.id)

    def _acquire(self, tenant: Tenant) -> None:
        if not self._limiter.acquire(tenant.id):
            raise TooManyStreams(f"More than {self._limiter.limit} event streams are open.", retry_after=RETRY_AFTER)

    def unsubscribe(self, tenant: Tenant, generation_id: str, subscriber: Subscription) -> None:
        metrics.EVENT_STREAMS.dec()
        self._limiter.release(tenant.id)
        feed = self._feeds[tenant.id, generation_id]
        feed.subscribers.discard(subscriber)
        if not feed.subscribers:
            feed.close()
            del self._feeds[tenant.id, generation_id]
