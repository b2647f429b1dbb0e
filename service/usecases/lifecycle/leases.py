"""Leases of claimed items: short, and renewed by the process that works on the items.

A process that is killed renews nothing: its items are due again within ``LEASE``. A process that is alive renews the
leases of its items, however slow their work is, up to ``_LONGEST``. No list of living processes is needed. A process
that is stopped for longer than a lease loses its items. What it writes afterwards is decided by each record's version.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from service.clock import Clock
from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.observability import log
from service.store.queues.due import Claimed
from service.store.queues.leases import Lease, LeaseStore

#: For this long no other worker can claim an item, unless its lease is renewed.
LEASE: Final = timedelta(seconds=4)
_RENEW_EVERY_SECONDS: Final = 1.0
#: Longer than any work lasts, the copy of a video included. Work that hangs for longer is repeated by another worker.
_LONGEST: Final = timedelta(minutes=15)
#: The same for a sweep, which may be the audit of a very large ledger.
_LONGEST_SWEEP: Final = timedelta(hours=12)
#: Pause of an item whose work raised an error: the next attempt would most likely raise it again.
_PAUSE_AFTER_ERROR: Final = timedelta(seconds=30)


class LeaseKeeper:
    """Renews the leases of one work queue's items in this process, about once a second."""

    def __init__(
        self,
        store: LeaseStore,
        *,
        clock: Clock,
        longest: timedelta | None = None,
        renew_every: float = _RENEW_EVERY_SECONDS,
    ) -> None:
        """``longest``: the lease of work that hangs for longer is no longer renewed. ``renew_every``: seconds."""
        self._store = store
        self._longest = longest or (_LONGEST_SWEEP if store.work_queue is WorkQueue.SWEEP else _LONGEST)
        self._renew_every = renew_every
        self._clock = clock
        self._held: dict[Lease, float] = {}
        """Leases, each with the time of its claim by the monotonic clock."""
        self._renewing: asyncio.Task[None] | None = None
        self._log = log.get(__name__)

    @contextlib.contextmanager
    def held(self, item: Claimed) -> Iterator[Lease]:
        """Renew the lease of a claimed item during this context."""
        lease = Lease(item.id, item.queue_name, (item.until,))
        self._held[lease] = time.monotonic()
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew_until_idle(), context=log.fresh_context())
        try:
            yield lease
        finally:
            self._held.pop(lease, None)

    async def renew(self) -> None:
        """Extend every lease that is still held. Drop lost leases, and those of work that hangs.

        Raises StoreUnavailable.
        """
        oldest_claim = time.monotonic() - self._longest.total_seconds()
        for lease in [lease for lease, claimed_at in self._held.items() if claimed_at < oldest_claim]:
            self._log.error("lease_abandoned", item=lease.id, longest_seconds=self._longest.total_seconds())
            del self._held[lease]
        now = self._clock()
        for lease in await self._store.renew(list(self._held), now=now, until=now + LEASE):
            self._held.pop(lease, None)

    async def postpone(self, lease: Lease) -> None:
        """Pause an item whose work raised an error, unless the item was rescheduled before the error."""
        if self._held.pop(lease, None) is not None:
            now = self._clock()
            with contextlib.suppress(StoreUnavailable):  # the lease expires soon
                await self._store.renew([lease], now=now, until=now + _PAUSE_AFTER_ERROR)

    async def close(self) -> None:
        """Stop renewing."""
        self._held.clear()
        if (renewing := self._renewing) is not None:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            self._renewing = None  # a task that is cancelled before its first step does not run its ``finally``

    @property
    def is_renewing(self) -> bool:
        """Return whether the periodic renewal runs."""
        return self._renewing is not None

    async def _renew_until_idle(self) -> None:
        try:
            while self._held:
                await asyncio.sleep(self._renew_every)
                with contextlib.suppress(StoreUnavailable):  # repeated in a second: three attempts within a lease
                    await self.renew()
        finally:
            self._renewing = None
