"""Reading generations: one, a page of them, and one after its next change (long polls)."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from service.domain import ids
from service.domain.generation import Generation
from service.domain.generation_filter import Filter
from service.domain.status import PublicStatus
from service.domain.tenant import Tenant
from service.store.generations.changes import ChangeFeed
from service.store.generations.generations import GenerationStore
from service.store.generations.read import GenerationReader as Records
from service.store.paging import ENTRIES_READ, Page
from service.usecases.generations.concurrency import ReadQueue
from service.usecases.generations.ownership import generation_not_found, require_owned

#: A long poll reads the record this often without a notification: publish/subscribe does not guarantee delivery.
_REREAD_SECONDS: Final = 2.0


class GenerationReader:
    """Reads for tenants. Each method with an id raises NotFound alike for an unknown one and another tenant's."""

    def __init__(self, store: GenerationStore, changes: ChangeFeed, *, lists: Records, reads: ReadQueue) -> None:
        self._store = store
        self._lists = lists
        self._reads = reads
        self._changes = changes

    async def get(self, tenant: Tenant, generation_id: str) -> Generation:
        g = await self._store.load(generation_id) if ids.is_id(ids.GENERATION, generation_id) else None
        return require_owned(tenant, g)

    async def get_with_position(self, tenant: Tenant, generation_id: str) -> tuple[Generation, int]:
        """Return the generation and how many of its tenant are dispatched before it, both of the same moment."""
        if not ids.is_id(ids.GENERATION, generation_id):
            raise generation_not_found()
        g, position = await self._store.load_with_position(tenant.id, generation_id)
        return require_owned(tenant, g), position or 0

    async def wait_for_change(self, tenant: Tenant, generation_id: str, *, within: float) -> Generation:
        """Return the generation when its status has changed, or after ``within`` seconds."""
        first: PublicStatus | None = None

        def changed(g: Generation) -> bool:
            nonlocal first
            first = g.public_status if first is None else first
            return g.is_terminal or g.public_status is not first

        return await self._wait_until(changed, tenant, generation_id, within=within)

    async def wait_for_end(self, tenant: Tenant, generation_id: str, *, within: float) -> Generation:
        """Return the generation when it has ended, or after ``within`` seconds."""
        return await self._wait_until(lambda g: g.is_terminal, tenant, generation_id, within=within)

    async def _wait_until(
        self, condition: Callable[[Generation], bool], tenant: Tenant, generation_id: str, *, within: float
    ) -> Generation:
        with self._changes.watch(generation_id) as subscription:  # before the first read, so that no change is missed
            g = await self.get(tenant, generation_id)
            deadline = asyncio.get_running_loop().time() + within
            while not condition(g) and (left := self._seconds_left(deadline)) > 0:
                await subscription.wait(within=min(left, _REREAD_SECONDS))
                g = await self.get(tenant, generation_id)
            return g

    def _seconds_left(self, deadline: float) -> float:
        return 0 if self._changes.released else deadline - asyncio.get_running_loop().time()

    def stop_waiting(self) -> None:
        """End all long polls with what is known, now and from now on: the process is about to stop."""
        self._changes.release()

    @property
    def stopped_waiting(self) -> bool:
        return self._changes.released

    async def list(
        self, tenant: Tenant, wanted: Filter, *, limit: int, after: str | None, most_read: int = ENTRIES_READ
    ) -> Page[Generation]:
        """Return a page of a tenant's generations that match. ``after`` is the last id of the page before.

        ``most_read``: generations that are examined at most.
        """
        own = replace(wanted, tenant_id=tenant.id)
        async with self._reads.turn(tenant.id):
            return await self._lists.page(own, limit=limit, after=after, most_read=most_read)
