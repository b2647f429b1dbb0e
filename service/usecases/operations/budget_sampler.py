"""Samples of tenants: the used share of the monthly budget, and since when the oldest queued generation waits.

The list of tenants near their budget and the status page read them.
"""

from datetime import datetime, timedelta
from typing import Final

from service.clock import Clock
from service.store.money.budget_shares import BudgetShareStore
from service.store.tenants.waiting import WaitingTenantStore

#: Interval of the samples of one process. Two processes that sample the same tenants write the same shares.
EVERY: Final = timedelta(seconds=10)
#: Tenants of one sample, in turn: 10,000 tenants take less than two minutes. The highest ones are in each sample.
_PAGE: Final = 1000
_HIGHEST: Final = 100


class BudgetSampler:
    """Samples some tenants at each interval, in the maintenance workers."""

    def __init__(self, store: BudgetShareStore, *, clock: Clock, waiting: WaitingTenantStore | None = None) -> None:
        """``waiting``: None: only budgets are sampled."""
        self._store = store
        self._waiting = waiting
        self._clock = clock
        self._sampled_at: datetime | None = None
        self._after = ""

    async def sample_when_due(self) -> None:
        """Sample a page of tenants, unless this process has done so within the interval."""
        now = self._clock()
        if self._sampled_at is None or now - self._sampled_at >= EVERY:
            self._sampled_at = now
            await self.sample()

    async def sample(self) -> None:
        """Sample the next page of tenants, those with the highest shares, and those whose work waits longest."""
        page = await self._store.tenants(after=self._after, limit=_PAGE)
        self._after = page[-1] if len(page) == _PAGE else ""
        highest = await self._store.highest(_HIGHEST)
        await self._store.sample(list(dict.fromkeys([*page, *highest])), self._clock())
        if self._waiting is not None:
            oldest = await self._waiting.oldest(_HIGHEST)
            await self._waiting.sample(list(dict.fromkeys([*page, *oldest])))
