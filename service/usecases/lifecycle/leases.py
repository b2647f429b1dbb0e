"""Leases: short ones, renewed by the process that works on what it has claimed.

A process that is killed renews nothing: all that it held is due again within ``LEASE``. A process that is alive keeps
what it works on, however slow that is, up to ``_LONGEST``. No list of living processes is needed. A process that stands
still for longer than a lease loses what it held; what it writes afterwards is decided by each record's version.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.observability import log
from service.store.queues.due import Claimed
from service.store.queues.leases import Lease, LeaseStore

#: For how long no other worker can claim what one has claimed, unless the lease is renewed.
LEASE: Final = timedelta(seconds=4)
_EVERY_SECONDS: Final = 1.0
#: Longer than any work lasts, the copy of a video included; another worker repeats work that hangs for longer.
_LONGEST: Final = timedelta(minutes=15)
#: The same of a sweep, which may be the audit of very large books.
_LONGEST_SWEEP: Final = timedelta(hours=12)
#: How long an item rests whose work raised: the next try would most likely raise again.
_PAUSE_AFTER_ERROR: Final = timedelta(seconds=30)


class LeaseKeeper:
    """Renews the leases of what one drain of this process has under way, about once a second."""

    def __init__(self, store: LeaseStore, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._longest = _LONGEST_SWEEP if store.drain is WorkQueue.SWEEP else _LONGEST
        self._clock = clock
        self._held: dict[Lease, float] = {}
        """With when each was claimed, by the monotonic clock."""
        self._renewing: asyncio.Task[None] | None = None
        self._log = log.get(__name__)

    @contextlib.contextmanager
    def held(self, item: Claimed) -> Iterator[Lease]:
        """Keep the lease of a claimed item while its work lasts."""
        lease = Lease(item.id, item.lane, (item.until,))
        self._held[lease] = time.monotonic()
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew_until_idle(), context=log.fresh_context())
        try:
            yield lease
        finally:
            self._held.pop(lease, None)

    async def renew(self) -> None:
        """Extend every lease that is still held; drop those that are not, and those of work that hangs.

        Raises StoreUnavailable.
        """
        begun = time.monotonic() - self._longest.total_seconds()
        for lease in [lease for lease, since in self._held.items() if since < begun]:
            self._log.error("work takes too long, its lease is given up", item=lease.id)
            del self._held[lease]
        now = self._clock()
        for lease in await self._store.renew(list(self._held), now=now, until=now + LEASE):
            self._held.pop(lease, None)

    async def put_off(self, lease: Lease) -> None:
        """Let an item rest whose work raised, unless it was moved before that."""
        if self._held.pop(lease, None) is not None:
            now = self._clock()
            with contextlib.suppress(StoreUnavailable):  # its lease ends soon
                await self._store.renew([lease], now=now, until=now + _PAUSE_AFTER_ERROR)

    async def close(self) -> None:
        """Renew nothing any more."""
        self._held.clear()
        if (renewing := self._renewing) is not None:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            self._renewing = None  # cancelled before its first step, it has not done so

    async def _renew_until_idle(self) -> None:
        try:
            while self._held:
                await asyncio.sleep(_EVERY_SECONDS)
                with contextlib.suppress(StoreUnavailable):  # tried again in a second, three times within a lease
                    await self.renew()
        finally:
            self._renewing = None
