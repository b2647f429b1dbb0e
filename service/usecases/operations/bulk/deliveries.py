"""Bulk jobs over webhook deliveries: send them again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from service.domain import ids
from service.domain.bulk import BulkJob, Selection
from service.domain.webhook import Delivery, DeliveryFilter, DeliveryStatus
from service.errors import Conflict, NotFound, Unauthenticated
from service.store.generations.generations import GenerationStore
from service.store.paging import ENTRIES_READ, Page
from service.store.tenants.tenants import TenantStore
from service.store.webhooks.deliveries import DeliveryStore
from service.store.webhooks.delivery_log import DeliveryLog
from service.usecases.operations.bulk.kinds import Count, Item, Outcome
from service.usecases.webhooks.redelivery import DeliveryService


class ReplayDeliveries:
    """Sends deliveries again, with all attempts of the schedule."""

    id_prefix: Final = ids.DELIVERY

    def __init__(
        self,
        deliveries: DeliveryStore,
        delivery_log: DeliveryLog,
        generations: GenerationStore,
        tenants: TenantStore,
        service: DeliveryService,
    ) -> None:
        self._deliveries = deliveries
        self._delivery_log = delivery_log
        self._generations = generations
        self._tenants = tenants
        self._service = service

    def needs_tenant(self, wanted: Selection) -> bool:
        conditions = wanted.deliveries
        is_indexed = conditions.generation_id is not None or conditions.status is DeliveryStatus.DEAD
        return not wanted.ids and not is_indexed

    async def page(self, wanted: Selection, *, after: str | None, oldest_first: bool = False) -> Page[Item]:
        conditions = wanted.deliveries
        names = wanted.ids
        if not names and conditions.generation_id is not None:
            names = await self._of_generation(conditions.generation_id)
        elif not names:
            page = await self._delivery_log.page_over_all(
                conditions, limit=ENTRIES_READ, after=after, oldest_first=oldest_first
            )
            return Page(_items(page.items, wanted), page.after)
        return Page(_items(await self._deliveries.load_many(names), wanted))

    async def _of_generation(self, name: str) -> tuple[str, ...]:
        g = await self._generations.load(name) if ids.is_id(ids.GENERATION, name) else None
        return () if g is None else g.deliveries

    async def count(self, wanted: Selection) -> Count | None:
        """Count dead letters in an index, if all of it between two times matches."""
        conditions = wanted.deliveries
        known = DeliveryFilter(
            tenant_id=conditions.tenant_id,
            status=DeliveryStatus.DEAD,
            created_after=conditions.created_after,
            created_before=conditions.created_before,
        )
        if wanted.ids or conditions != known:
            return None
        return Count(await self._delivery_log.dead_letter_count(conditions), is_exact=True)

    async def act(self, job: BulkJob, name: str) -> Outcome:
        (found,) = await self._deliveries.load_many([name])
        if found is None:
            return "skipped"
        if _is_replayed(found, job.started_at):
            return "done"
        tenant = await self._tenants.load(found.tenant_id)
        if tenant is None or not job.effective_selection.has(found):
            return "skipped"
        try:
            await self._service.redeliver(tenant, name)
        except (NotFound, Unauthenticated):  # purged, or its tenant was deleted
            return "skipped"
        except Conflict:  # its endpoint is disabled or deleted
            return "failed"
        return "done"


def _items(found: Sequence[Delivery | None], wanted: Selection) -> list[Item]:
    return [
        Item(one.id, one.tenant_id, one.created_at, endpoint_id=one.endpoint_id)
        for one in found
        if one is not None and one.status is not DeliveryStatus.PENDING and wanted.has(one)
    ]


def _is_replayed(delivery: Delivery, since: datetime) -> bool:
    """Return whether the delivery is sent anyway, or was attempted since this time."""
    is_pending = delivery.status is DeliveryStatus.PENDING
    return is_pending or any(attempt.at >= since for attempt in delivery.attempts[-1:])
