"""What a tenant may know about itself: its counters, and whether its generations are submitted."""

from dataclasses import dataclass
from datetime import datetime

from service.clock import Clock
from service.domain import budgets
from service.domain.dispatch_gate import HoldReason
from service.domain.tenant import Tenant
from service.store.tenants.overview import Counters, OverviewStore
from service.usecases.generations.queue_estimate import QueueEstimator


@dataclass(frozen=True, slots=True)
class Overview:
    """``day_ends_at``, ``month_ends_at``: when the counters of today and of this month start again."""

    counters: Counters
    hold: HoldReason | None
    day_ends_at: datetime
    month_ends_at: datetime


class Overviews:
    """Reads one tenant in one exchange. The hold is that of the queue estimates, which each process caches."""

    def __init__(self, store: OverviewStore, estimator: QueueEstimator, *, clock: Clock) -> None:
        self._store = store
        self._estimator = estimator
        self._clock = clock

    async def read(self, tenant: Tenant) -> Overview:
        """Return the overview of a tenant. Raises StoreUnavailable."""
        now = self._clock()
        counters = await self._store.read(tenant.id, today=budgets.day(now), this_month=budgets.month(now))
        return Overview(
            counters,
            await self._estimator.hold(tenant),
            day_ends_at=budgets.resets_at(budgets.Scope.END_USER_DAY, now),
            month_ends_at=budgets.resets_at(budgets.Scope.TENANT_MONTH, now),
        )
