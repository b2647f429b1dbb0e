"""Counts of refused creates, added up in the process and written once a second.

A refusal costs no write in Redis, so a flood of refused creates costs one small write a second for each process and
tenant. A process that is killed loses the counts of its last second.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from service.clock import Clock
from service.domain import budgets
from service.errors import GatewayError, StoreFull, StoreUnavailable, Unauthenticated
from service.store.money.refusals import RefusalStore

_INTERVAL: Final = 1.0
#: Counts in memory. Beyond that a refusal is counted for its tenant only, and beyond twice as many not at all.
_MOST: Final = 10_000


class RefusalCounts:
    """Counts refused creates of tenants and end users by error code."""

    def __init__(self, store: RefusalStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._counts: Counter[tuple[str, str, str, str]] = Counter()
        """By tenant, day, error code and pseudonym."""
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None

    def add(self, tenant_id: str, error: GatewayError, pseudonym: str = "") -> None:
        """Count a refused create. ``pseudonym``: of its end user, if it is known."""
        if _is_no_refusal(error):
            return
        key = (tenant_id, budgets.day(self._clock()), error.code, pseudonym)
        if key not in self._counts and len(self._counts) >= _MOST:
            key = (*key[:3], "")
            if key not in self._counts and len(self._counts) >= 2 * _MOST:
                return
        self._counts[key] += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_INTERVAL, self._start_flush)

    async def flush(self) -> None:
        """Write what was counted. What Redis did not take is written by a later flush."""
        counts, self._counts = self._counts, Counter()
        by_day: defaultdict[tuple[str, str], dict[tuple[str, str], int]] = defaultdict(dict)
        for (tenant_id, day, code, pseudonym), count in counts.items():
            by_day[tenant_id, day][code, pseudonym] = count
        for (tenant_id, day), part in by_day.items():
            try:
                await self._store.add(tenant_id, day, part)
            except StoreUnavailable:
                for (code, pseudonym), count in part.items():
                    self._counts[tenant_id, day, code, pseudonym] += count

    @asynccontextmanager
    async def flushing(self) -> AsyncIterator[None]:
        """Write what is left at the end."""
        try:
            yield
        finally:
            if self._timer is not None:
                self._timer.cancel()
            if self._flushing is not None:
                await self._flushing
            await self.flush()

    def _start_flush(self) -> None:
        self._flushing = asyncio.create_task(self._flush_later(), name="refusal-counts")

    async def _flush_later(self) -> None:
        self._timer = None
        await self.flush()
        if self._counts and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_INTERVAL, self._start_flush)


def _is_no_refusal(error: GatewayError) -> bool:
    """Return whether the error is an outage, or the tenant is deleted: its usage gets no new entries."""
    return isinstance(error, Unauthenticated) or (
        isinstance(error, StoreUnavailable) and not isinstance(error, StoreFull)
    )
