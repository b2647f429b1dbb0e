"""Samples of the bytes that tenants store, for admission, a gauge and an alert."""

from datetime import datetime, timedelta
from typing import Final

from service.clock import Clock
from service.store.state.stored_bytes import StoredBytesStore

#: Interval of the samples of all processes together.
EVERY: Final = timedelta(seconds=10)
#: Tenants of one sample, in turn. The largest ones are in each sample, since admission depends on them.
_PAGE: Final = 200
_LARGEST: Final = 50


class StorageSampler:
    """Estimates the bytes of some tenants at each interval, in one of the maintenance workers."""

    def __init__(self, store: StoredBytesStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._asked_at: datetime | None = None
        self._after = ""

    async def sample_when_due(self) -> None:
        """Sample a page of tenants, unless this or another process has done so within the interval."""
        now = self._clock()
        if self._asked_at is not None and now - self._asked_at < EVERY:
            return
        self._asked_at = now
        if await self._store.take_turn(EVERY):
            await self.sample()

    async def sample(self) -> None:
        """Sample the next page of tenants, and the largest ones."""
        page = await self._store.tenants(after=self._after, limit=_PAGE)
        self._after = page[-1] if len(page) == _PAGE else ""
        largest = [tenant_id for tenant_id, _ in await self._store.largest(_LARGEST)]
        sizes = await self._store.sample(list(dict.fromkeys([*page, *largest])), self._clock())
        await self._store.write(sizes)
