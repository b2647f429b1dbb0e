"""What tenants do with their deliveries: list, read, send again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from service.clock import Clock
from service.domain import ids
from service.domain.tenant import Tenant
from service.domain.webhook import Delivery, DeliveryFilter
from service.domain.webhook_endpoint import Endpoint
from service.errors import Conflict, NotFound, Unauthenticated
from service.observability import metrics
from service.store.generations.generations import GenerationStore
from service.store.paging import Page
from service.store.webhooks.deliveries import DeliveryStore
from service.store.webhooks.delivery_log import DeliveryLog
from service.store.webhooks.endpoints import EndpointStore
from service.tasks import Nudger
from service.usecases.conflicts import LOST, Lost, retry_on_conflict
from service.usecases.tenants.authentication import UNKNOWN_KEY

#: Deliveries one call replays at most; its cursor says where the next call begins.
REPLAYED_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Replay:
    """``skipped``: under way already, or their endpoint is disabled or deleted."""

    replayed: int
    skipped: int
    after: str | None


class DeliveryService:
    def __init__(
        self,
        deliveries: DeliveryStore,
        delivery_log: DeliveryLog,
        endpoints: EndpointStore,
        generations: GenerationStore,
        nudger: Nudger,
        *,
        clock: Clock,
    ) -> None:
        self._deliveries = deliveries
        self._delivery_log = delivery_log
        self._endpoints = endpoints
        self._generations = generations
        self._nudger = nudger
        self._clock = clock

    async def get(self, tenant: Tenant, delivery_id: str) -> Delivery:
        """Raises NotFound alike for what does not exist and for what belongs to another tenant."""
        found = await self._deliveries.load(delivery_id) if ids.is_id(ids.DELIVERY, delivery_id) else None
        if found is None or found.tenant_id != tenant.id:
            raise NotFound("There is no such delivery.")
        return found

    async def list(self, tenant: Tenant, wanted: DeliveryFilter, *, limit: int, after: str | None) -> Page[Delivery]:
        """Newest first."""
        if wanted.generation_id is not None:
            return await self._of_generation(tenant, wanted.generation_id, wanted, limit=limit, after=after)
        return await self._delivery_log.page(tenant.id, wanted, limit=limit, after=after)

    async def _of_generation(
        self, tenant: Tenant, generation_id: str, wanted: DeliveryFilter, *, limit: int, after: str | None
    ) -> Page[Delivery]:
        """It knows its own: no index is searched."""
        g = await self._generations.load(generation_id) if ids.is_id(ids.GENERATION, generation_id) else None
        if g is None or g.tenant_id != tenant.id:
            return Page()
        names = sorted((name for name in g.deliveries if after is None or name < after), reverse=True)
        found = [d for d in await self._deliveries.load_many(names) if d is not None and _within(d, wanted)]
        return Page(found[:limit], found[limit - 1].id if len(found) > limit else None)

    async def redeliver(self, tenant: Tenant, delivery_id: str) -> Delivery:
        """Send it again, through the whole schedule; while it is under way already, nothing changes.

        Raises:
            NotFound: there is none.
            Conflict: its endpoint is disabled or deleted.
            Unauthenticated: the tenant was deleted after its key was looked up.

        """

        async def attempt() -> Delivery | Lost:
            delivery = await self.get(tenant, delivery_id)
            if not _is_open(delivery, await self._endpoints.of_tenant(tenant.id)):
                raise Conflict("Its endpoint is disabled or deleted.")
            replayed, now = await self._replay(delivery), await self.get(tenant, delivery_id)
            under_way = now.version == delivery.version
            return now if replayed or under_way else LOST

        redelivered = await retry_on_conflict(attempt)
        return await self.get(tenant, delivery_id) if redelivered is LOST else redelivered

    async def replay(self, tenant: Tenant, wanted: DeliveryFilter, *, after: str | None) -> Replay:
        """All that match, newest first, so many at a time. Raises NotFound or Conflict for the endpoint asked for."""
        endpoints = await self._endpoints.of_tenant(tenant.id)
        if wanted.endpoint_id is not None:
            _check_open(wanted.endpoint_id, endpoints)
        page = await self._delivery_log.page(tenant.id, wanted, limit=REPLAYED_AT_ONCE, after=after)
        open_ones = [delivery for delivery in page.items if _is_open(delivery, endpoints)]
        replayed = sum(await asyncio.gather(*map(self._replay, open_ones)))
        return Replay(replayed, len(page.items) - replayed, page.after)

    async def _replay(self, delivery: Delivery) -> bool:
        answer = await self._delivery_log.replay(delivery, self._clock())
        if answer.orphan:
            raise Unauthenticated(UNKNOWN_KEY)
        for drain in answer.nudges:
            self._nudger.nudge(drain)
        if answer.won:
            metrics.WEBHOOKS_REPLAYED.labels(delivery.tenant_id).inc()
        return answer.won


def _within(delivery: Delivery, wanted: DeliveryFilter) -> bool:
    later = wanted.created_after is None or delivery.created_at > wanted.created_after
    earlier = wanted.created_before is None or delivery.created_at < wanted.created_before
    return later and earlier and replace(wanted, generation_id=None).takes(delivery)


def _is_open(delivery: Delivery, endpoints: Sequence[Endpoint]) -> bool:
    if delivery.endpoint_id is None:
        return True
    return any(each.id == delivery.endpoint_id and each.disabled is None for each in endpoints)


def _check_open(endpoint_id: str, endpoints: Sequence[Endpoint]) -> None:
    endpoint = next((each for each in endpoints if each.id == endpoint_id), None)
    if endpoint is None:
        raise NotFound("There is no such webhook endpoint.")
    if endpoint.disabled is not None:
        raise Conflict("The endpoint is disabled; enable it first.")
