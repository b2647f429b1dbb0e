"""Removal of the series of deleted tenants: the metrics of a process do not grow with all tenants that ever were."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

from service.observability import metrics, multiprocess
from service.repeating import repeating
from service.store.tenants.tenants import TenantStore

#: Longer than Prometheus waits between two scrapes: each reads the last values of a deleted tenant.
_EVERY_SECONDS: Final = 300.0
_PAGE: Final = 500


class SeriesExpiry:
    """Compares the tenants of this process's metrics with those that exist.

    A series is removed by the second check that finds its tenant deleted: it stays for one interval at least, and for
    another one if an event of the deleted tenant is counted after that.
    """

    def __init__(self, tenants: TenantStore) -> None:
        self._tenants = tenants
        self._deleted: set[str] = set()
        """Tenants that the last check found deleted, without those whose series it removed."""

    async def check(self) -> None:
        """Remove what the check before found already. Raises StoreUnavailable."""
        known = metrics.tenants()
        existing: set[str] = set()
        for start in range(0, len(known), _PAGE):
            existing |= await self._tenants.existing(known[start : start + _PAGE])
        deleted = set(known) - existing
        expired = deleted & self._deleted
        for tenant_id in expired:
            metrics.forget_tenant(tenant_id)
        self._deleted = deleted - expired

    @contextlib.asynccontextmanager
    async def checking(self) -> AsyncIterator[None]:
        """Check periodically, unless processes share the metrics: prometheus-client cannot remove shared series."""
        if multiprocess.is_shared():
            yield
            return
        async with repeating(self.check, name="series-expiry", pause=_EVERY_SECONDS):
            yield
