"""Limits on what one tenant may have open at one process: long polls, event streams, videos."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from service.domain.tenant import Tenant
from service.errors import TooManyDownloads, TooManyWaiting
from service.observability import metrics

#: Retry-After at the limit, in seconds: another call may have ended by then.
RETRY_AFTER: Final = 5.0


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
