"""Position, estimated start and hold of a queued generation, from the data that dispatch decides on."""

import asyncio
from collections.abc import Sequence
from typing import Final

from service.domain.dispatch_gate import Gate, HoldReason
from service.domain.generation import Generation
from service.domain.generation_view import QueueView
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.errors import StoreUnavailable
from service.store.gate.gate import GateStore
from service.store.queues.tenant_queue import QueueStats, QueueStore

#: Each process reads the queue statistics and the gate this often. Positions are never cached.
_CACHE_SECONDS: Final = 2.0


class QueueEstimator:
    def __init__(self, queue: QueueStore, gate: GateStore, *, slots: int) -> None:
        self._queue = queue
        self._gate = gate
        self._slots = slots
        self._cached: tuple[QueueStats, Gate] | None = None
        self._cached_at = 0.0

    async def of(self, tenant: Tenant, g: Generation, position: int | None = None) -> QueueView | None:
        """Return position and estimate; None if the generation is not queued, or while Redis is unavailable.

        ``position``: the position, if it is known. Never raises: the response about an accepted generation must not
        become an error because there is no estimate.
        """
        if g.status is not Status.QUEUED:
            return None
        if position is None:
            return (await self.of_page(tenant, [g]))[0]
        return self._view(tenant, position, await self._read_or_none())

    async def of_page(self, tenant: Tenant, page: Sequence[Generation]) -> list[QueueView | None]:
        """Return ``of`` of each generation of a page, from one read.

        A read for each generation would outlast the cache while Redis is slow, and a page would take minutes.
        """
        queued = [g.id for g in page if g.status is Status.QUEUED]
        if not queued:
            return [None] * len(page)
        try:
            positions = await self._queue.positions(tenant.id, queued)
        except StoreUnavailable:
            return [None] * len(page)
        found = await self._read_or_none()
        views = {name: self._view(tenant, position, found) for name, position in zip(queued, positions, strict=True)}
        return [views.get(g.id) for g in page]

    async def hold(self, tenant: Tenant) -> HoldReason | None:
        """Return why no generation of the tenant is submitted; None: they are submitted. Raises StoreUnavailable."""
        _, gate = await self._read()
        return gate.holds(tenant)

    def forget(self) -> None:
        """Clear the cache: the next estimate reads Redis."""
        self._cached = None

    def _view(self, tenant: Tenant, position: int, found: tuple[QueueStats, Gate] | None) -> QueueView:
        if found is None:
            return {"position": position, "estimated_start_seconds": None, "hold_reason": None}
        stats, gate = found
        hold = gate.holds(tenant)
        return {
            "position": position,
            "estimated_start_seconds": estimate(stats, tenant, position, self._slots) if hold is None else None,
            "hold_reason": hold,
        }

    async def _read_or_none(self) -> tuple[QueueStats, Gate] | None:
        try:
            return await self._read()
        except StoreUnavailable:
            return None

    async def _read(self) -> tuple[QueueStats, Gate]:
        now = asyncio.get_running_loop().time()
        if self._cached is None or now - self._cached_at > _CACHE_SECONDS:
            self._cached_at = now  # before the read: concurrent calls use the older statistics
            self._cached = await self._queue.stats(), await self._gate.read()
        return self._cached


def estimate(stats: QueueStats, tenant: Tenant, position: int, slots: int) -> float | None:
    """Return the seconds until dispatch if slots are freed at the recent rate; None if no job has ended yet.

    The tenant gets its share of the slots by weight, within its limit of concurrent generations.
    """
    own = tenant.limits.concurrent_generations
    waiting = max(stats.queued, position + 1)  # the statistics may be older than this generation
    if waiting <= slots - stats.slots_used and (own is None or position < own):
        return 0.0
    if stats.seconds is None:
        return None
    weight = tenant.limits.weight
    ahead = min((position + 1) * max(stats.weights, weight) / weight, waiting)
    by_account = ahead * stats.seconds / slots
    by_tenant = 0.0 if own is None else (position + 1) * stats.seconds / own
    return round(max(by_account, by_tenant), 1)
