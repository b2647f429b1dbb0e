"""How far a queued generation has come, and when it may start: from the same data that dispatch decides on."""

import asyncio
from typing import Final

from service.domain.dispatch_gate import Gate
from service.domain.generation import Generation
from service.domain.generation_view import QueueView
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.errors import StoreUnavailable
from service.store.gate.gate import GateStore
from service.store.queues.tenant_queue import QueueStats, QueueStore

#: The line is looked at this often per process; positions are always fresh.
_REMEMBERED_SECONDS: Final = 2.0


class QueueEstimator:
    def __init__(self, queue: QueueStore, gate: GateStore, *, slots: int) -> None:
        self._queue = queue
        self._gate = gate
        self._slots = slots
        self._seen: tuple[QueueStats, Gate] | None = None
        self._seen_at = 0.0

    async def of(self, tenant: Tenant, g: Generation, position: int | None = None) -> QueueView | None:
        """``position``: where it is known already. None once it is out of our queue, and while nobody can say.

        Never raises: an answer about something that was accepted must not become a refusal for want of an estimate.
        """
        if g.status is not Status.QUEUED:
            return None
        try:
            if position is None:
                position = await self._queue.position(tenant.id, g.id) or 0
            line, gate = await self._look()
        except StoreUnavailable:
            return None if position is None else {"position": position, "estimated_start_seconds": None}
        held = gate.hold is not None or tenant.paused is not None
        return {
            "position": position,
            "estimated_start_seconds": None if held else estimate(line, tenant, position, self._slots),
        }

    def forget(self) -> None:
        """Forget the remembered queue: the next estimate reads Redis."""
        self._seen = None

    async def _look(self) -> tuple[QueueStats, Gate]:
        now = asyncio.get_running_loop().time()
        if self._seen is None or now - self._seen_at > _REMEMBERED_SECONDS:
            self._seen_at = now  # before it is read: others are content with what was seen last
            self._seen = await self._queue.stats(), await self._gate.read()
        return self._seen


def estimate(line: QueueStats, tenant: Tenant, position: int, slots: int) -> float | None:
    """Seconds until it is dispatched if slots go on being freed at the pace of late; None: nothing has ended yet.

    Its tenant gets its share of the slots by weight, and no more at a time than it may have.
    """
    own = tenant.limits.concurrent_generations
    waiting = max(line.queued, position + 1)  # the line may have been looked at before this one came
    if waiting <= slots - line.slots_used and (own is None or position < own):
        return 0.0
    if line.seconds is None:
        return None
    weight = tenant.limits.weight
    ahead = min((position + 1) * max(line.weights, weight) / weight, waiting)
    by_account = ahead * line.seconds / slots
    by_tenant = 0.0 if own is None else (position + 1) * line.seconds / own
    return round(max(by_account, by_tenant), 1)
