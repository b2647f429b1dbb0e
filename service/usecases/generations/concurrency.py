"""Limits on what one tenant may have open at one process: long polls, event streams, videos, large reads."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from service.domain.tenant import Tenant
from service.errors import TooManyDownloads, TooManyWaiting
from service.observability import metrics

#: Retry-After at the limit, in seconds: another call may have ended by then.
RETRY_AFTER: Final = 5.0
#: A read of a tenant that took this long is followed by a pause as long as the read, up to the second number.
_SHORT_READ_SECONDS: Final = 0.01
_LONGEST_PAUSE_SECONDS: Final = 0.5


class ConcurrencyLimiter:
    """Counts the slots that each tenant holds."""

    def __init__(self, limit: int, *, total: int | None = None) -> None:
        """``limit``: the most slots of one tenant. ``total``: of all tenants.

        A tenant also holds no more slots than are left of the total. The more tenants hold many, the fewer the next one
        may have, so that slots stay free for a tenant without any.
        """
        self.limit: Final = limit
        self._total: Final = total
        self._held: Counter[str] = Counter()

    def acquire(self, tenant_id: str) -> bool:
        """Take a slot. Return False at the limit. The caller releases each slot that it took."""
        held = self._held[tenant_id]
        if held >= self.limit or (self._total is not None and held >= self._total - self._held.total()):
            return False
        self._held[tenant_id] += 1
        return True

    def release(self, tenant_id: str) -> None:
        self._held[tenant_id] -= 1
        if not self._held[tenant_id]:
            del self._held[tenant_id]


class ReadQueue:
    """Lists and reports of one tenant run one after the other in a process, the long ones with a pause in between.

    They keep the only thread of a process busy for milliseconds. Without the queue each call of another tenant waits
    for as many of them as the tenant has connections, and without the pause the tenant uses all of the thread.
    """

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, tenant_id: str) -> AsyncIterator[None]:
        """Wait for the tenant's turn, and hold it within the context."""
        self._users[tenant_id] += 1
        lock = self._locks.setdefault(tenant_id, asyncio.Lock())
        try:
            await lock.acquire()
        except asyncio.CancelledError:
            self._leave(tenant_id)
            raise
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            yield
        finally:
            took = loop.time() - began
            if took < _SHORT_READ_SECONDS:
                self._end(tenant_id, lock)
            else:
                loop.call_later(min(took, _LONGEST_PAUSE_SECONDS), self._end, tenant_id, lock)

    def _end(self, tenant_id: str, lock: asyncio.Lock) -> None:
        lock.release()
        self._leave(tenant_id)

    def _leave(self, tenant_id: str) -> None:
        self._users[tenant_id] -= 1
        if not self._users[tenant_id]:
            del self._users[tenant_id], self._locks[tenant_id]


class LongPollLimiter:
    """Limits the calls that wait until a generation has changed or ended."""

    def __init__(self, *, limit: int) -> None:
        self._limiter = ConcurrencyLimiter(limit)

    @contextmanager
    def slot(self, tenant: Tenant) -> Iterator[None]:
        """Hold a slot within the context. Raises TooManyWaiting."""
        if not self._limiter.acquire(tenant.id):
            raise TooManyWaiting(
                f"More than {self._limiter.limit} calls of this tenant are waiting.", retry_after=RETRY_AFTER
            )
        metrics.WAITING_CALLS.inc()
        try:
            yield
        finally:
            metrics.WAITING_CALLS.dec()
            self._limiter.release(tenant.id)


class DownloadLimiter:
    """Limits the videos that clients read from this process."""

    def __init__(self, *, limit: int, total: int) -> None:
        self._limiter = ConcurrencyLimiter(limit, total=total)

    @contextmanager
    def slot(self, tenant: Tenant) -> Iterator[None]:
        """Hold a slot within the context. Raises TooManyDownloads."""
        if not self._limiter.acquire(tenant.id):
            raise TooManyDownloads("Too many videos of this tenant are being read.", retry_after=RETRY_AFTER)
        metrics.VIDEO_DOWNLOADS.inc()
        try:
            yield
        finally:
            metrics.VIDEO_DOWNLOADS.dec()
            self._limiter.release(tenant.id)
