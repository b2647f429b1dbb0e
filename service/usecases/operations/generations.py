"""Generations of all tenants, for operators: search, details of one, cancel."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from service.domain import ids
from service.domain.generation import Generation
from service.domain.generation_filter import Filter
from service.domain.timeline import Moment, timeline
from service.domain.webhook import Delivery
from service.observability import log
from service.store.generations.generations import GenerationStore
from service.store.generations.read import GenerationReader
from service.store.money.ledger_lines import LedgerLines, Line
from service.store.paging import ENTRIES_READ, Page
from service.store.tenants.tenants import TenantStore
from service.store.webhooks.deliveries import DeliveryStore
from service.usecases.generations.cancel import GenerationCanceller, note_cancel
from service.usecases.generations.concurrency import ReadQueue
from service.usecases.generations.ownership import generation_not_found
from service.usecases.log_context import bind_generation
from service.usecases.operations.generation_filters import GenerationFilters
from service.usecases.trail.recording import note_target

#: Generations that one step over all that match returns at most; a step reads as many entries of an index.
STEP: Final = 500
#: Deliveries that the details of a generation have, the newest.
MOST_DELIVERIES: Final = 100
#: All operators of a process take turns, as each tenant does.
_OPERATORS: Final = "operators"


@dataclass(frozen=True, slots=True)
class Found:
    """A generation, and the name of its tenant; None: the tenant was deleted."""

    generation: Generation
    tenant_name: str | None


@dataclass(frozen=True, slots=True)
class Details:
    """A generation with what happened to it."""

    generation: Generation
    tenant_name: str | None
    timeline: list[Moment]
    ledger: list[Line]
    """Its hold, its settlement, and other lines of the same times. Later adjustments are not among them."""
    deliveries: list[Delivery]
    """Its newest deliveries, without their bodies."""


class GenerationSearch:
    """Reads and cancels generations of any tenant, also of a suspended or deleted one."""

    def __init__(
        self,
        generations: GenerationStore,
        lists: GenerationReader,
        tenants: TenantStore,
        deliveries: DeliveryStore,
        ledger: LedgerLines,
        canceller: GenerationCanceller,
        *,
        filters: GenerationFilters,
        reads: ReadQueue,
    ) -> None:
        self.filter = filters.filter
        self._generations = generations
        self._lists = lists
        self._tenants = tenants
        self._deliveries = deliveries
        self._ledger = ledger
        self._canceller = canceller
        self._reads = reads
        self._log = log.get(__name__)

    async def page(
        self, wanted: Filter, *, limit: int, after: str | None = None, most_read: int = ENTRIES_READ
    ) -> Page[Found]:
        """Return a page, the newest first unless the filter says otherwise. It may be short and not be the last one.

        ``after``: the cursor of the page before. ``most_read``: generations that are examined at most.
        """
        async with self._reads.turn(_OPERATORS):
            page = await self._lists.page(wanted, limit=limit, after=after, over_all=True, most_read=most_read)
            names = await self._tenants.names([g.tenant_id for g in page.items])
        return Page([Found(g, names.get(g.tenant_id)) for g in page.items], page.after)

    async def matching(self, wanted: Filter, *, after: str | None = None) -> AsyncIterator[Page[str]]:
        """Yield the ids of all generations that match, in steps of ``STEP`` at most; a step may have none.

        ``after``: the cursor of the last step that a job has completed. Changes of generations meanwhile neither skip
        nor repeat others: the order is that of their creation.
        """
        while True:
            async with self._reads.turn(_OPERATORS):
                page = await self._lists.page(wanted, limit=STEP, after=after)
            yield Page([g.id for g in page.items], page.after)
            if page.after is None:
                return
            after = page.after

    async def get(self, generation_id: str) -> Generation:
        """Return a generation of any tenant. Raises NotFound."""
        g = await self._generations.load(generation_id) if ids.is_id(ids.GENERATION, generation_id) else None
        if g is None:
            raise generation_not_found()
        bind_generation(g)
        return g

    async def show(self, generation_id: str, *, most_deliveries: int = MOST_DELIVERIES) -> Details:
        """Return a generation with its timeline, its money and its newest deliveries. Raises NotFound."""
        g = await self.get(generation_id)
        note_target(g.id, tenant_id=g.tenant_id)
        names = await self._tenants.names([g.tenant_id])
        moments = [moment for moment in (g.created_at, g.confirmed_at, g.finished_at) if moment is not None]
        lines = await self._ledger.near(g.id, moments)
        deliveries = await self._deliveries.load_many(g.deliveries[-most_deliveries:])
        kept = [delivery for delivery in deliveries if delivery is not None]
        return Details(g, names.get(g.tenant_id), timeline(g), lines, kept)

    async def cancel(self, generation_id: str, *, reason: str) -> Generation:
        """Cancel a generation as its tenant would: at once while it is queued, after its submit by a request to fal.

        The tenant receives its usual webhook.

        Raises:
            NotFound: there is no such generation.
            NotCancellable: it has ended.

        """
        before = await self.get(generation_id)
        note_target(before.id, tenant_id=before.tenant_id)
        g = await self._canceller.request(generation_id) or await self.get(generation_id)
        note_cancel(before, g)
        self._log.warning("cancel_by_operator", generation_id=g.id, status=g.status, reason=reason)
        return g
