"""Deliveries of a tenant: read, list, redeliver one, and replay many."""

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
from service.store.paging import ENTRIES_READ, Page
from service.store.webhooks.deliveries import DeliveryStore
from service.store.webhooks.delivery_log import DeliveryLog
from service.store.webhooks.endpoints import EndpointStore
from service.tasks import Nudger
from service.usecases.conflicts import LOST, Lost, retry_on_conflict
from service.usecases.generations.concurrency import ReadQueue
from service.usecases.tenants.authentication import UNKNOWN_KEY
from service.usecases.trail.recording import note, note_values

#: The most deliveries that one call replays. Its cursor is the start of the next call.
REPLAY_LIMIT: Final = 500


@dataclass(frozen=True, slots=True)
class Replay:
    """``skipped`` deliveries are pending already, or their endpoint is disabled or deleted."""

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
        reads: ReadQueue,
        *,
        clock: Clock,
    ) -> None:
        self._deliveries = deliveries
        self._delivery_log = delivery_log
        self._endpoints = endpoints
        self._generations = generations
        self._nudger = nudger
        self._reads = reads
        self._clock = clock

    async def get(self, tenant: Tenant, delivery_id: str) -> Delivery:
        """Return a delivery. An unknown one and another tenant's raise the same NotFound."""
        (shown,) = await self._shown(tenant.id, [await self._load(tenant, delivery_id)])
        return shown

    async def _shown(self, tenant_id: str, deliveries: list[Delivery]) -> list[Delivery]:
        """Fill in what is stored encrypted: URLs of endpoints, and bodies of events about endpoints."""
        if all(delivery.endpoint_id is None for delivery in deliveries):
            return deliveries
        urls = {endpoint.id: endpoint.url for endpoint in await self._endpoints.of_tenant(tenant_id)}
        return [
            replace(each, url=urls.get(each.endpoint_id or "", each.url), body=self._endpoints.body_of(each))
            for each in deliveries
        ]

    async def _load(self, tenant: Tenant, delivery_id: str) -> Delivery:
        found = await self._deliveries.load(delivery_id) if ids.is_id(ids.DELIVERY, delivery_id) else None
        if found is None or found.tenant_id != tenant.id:
            raise NotFound("There is no such delivery.")
        return found

    async def list(
        self,
        tenant: Tenant,
        selection: DeliveryFilter,
        *,
        limit: int,
        after: str | None,
        most_read: int = ENTRIES_READ,
    ) -> Page[Delivery]:
        """Return a page, newest first. ``after`` is the last id of the page before.

        ``most_read``: deliveries that are examined at most.
        """
        return await self.list_of(tenant.id, selection, limit=limit, after=after, most_read=most_read)

    async def list_of(
        self,
        tenant_id: str,
        selection: DeliveryFilter,
        *,
        limit: int,
        after: str | None,
        most_read: int = ENTRIES_READ,
    ) -> Page[Delivery]:
        """List as ``list``, for operators: of a tenant that may be deleted."""
        if selection.generation_id is not None:
            page = await self._of_generation(tenant_id, selection, limit=limit, after=after, most_read=most_read)
        else:
            async with self._reads.turn(tenant_id):
                page = await self._delivery_log.page(
                    tenant_id, selection, limit=limit, after=after, most_read=most_read
                )
        return replace(page, items=await self._shown(tenant_id, page.items))

    async def _of_generation(
        self, tenant_id: str, selection: DeliveryFilter, *, limit: int, after: str | None, most_read: int
    ) -> Page[Delivery]:
        """List from the generation's record, which has the ids of its deliveries: no index is searched."""
        generation_id = selection.generation_id or ""
        g = await self._generations.load(generation_id) if ids.is_id(ids.GENERATION, generation_id) else None
        if g is None or g.tenant_id != tenant_id:
            return Page()
        names = sorted((one for one in g.deliveries if after is None or one < after), reverse=True)
        read, left = names[:most_read], names[most_read:]
        wanted = replace(selection, generation_id=None)
        found = [d for d in await self._deliveries.load_many(read) if d is not None and wanted.matches(d)]
        if len(found) > limit:
            return Page(found[:limit], found[limit - 1].id)
        return Page(found, read[-1] if left else None)

    async def redeliver(self, tenant: Tenant, delivery_id: str) -> Delivery:
        """Send a delivery again, with all attempts of the schedule. A pending delivery does not change.

        Raises:
            NotFound: there is no such delivery.
            Conflict: its endpoint is disabled or deleted.
            Unauthenticated: the tenant was deleted after its key was checked.

        """

        async def attempt() -> Delivery | Lost:
            delivery = await self._load(tenant, delivery_id)
            if not _is_open(delivery, await self._endpoints.of_tenant(tenant.id)):
                raise Conflict("The endpoint of this delivery is disabled or deleted.")
            replayed, now = await self._replay(delivery), await self._load(tenant, delivery_id)
            unchanged = now.version == delivery.version  # it was pending already
            note_values(status=(delivery.status, now.status))
            return now if replayed or unchanged else LOST

        redelivered = await retry_on_conflict(attempt)
        if redelivered is LOST:
            return await self.get(tenant, delivery_id)
        (shown,) = await self._shown(tenant.id, [redelivered])
        return shown

    async def replay(self, tenant: Tenant, selection: DeliveryFilter, *, after: str | None) -> Replay:
        """Replay the matching deliveries, newest first, at most ``REPLAY_LIMIT``.

        Raises NotFound or Conflict if the filter names an endpoint that is deleted or disabled.
        """
        endpoints = await self._endpoints.of_tenant(tenant.id)
        if selection.endpoint_id is not None:
            _check_open(selection.endpoint_id, endpoints)
        page = await self._delivery_log.page(tenant.id, selection, limit=REPLAY_LIMIT, after=after)
        replayable = [delivery for delivery in page.items if _is_open(delivery, endpoints)]
        replayed = sum(await asyncio.gather(*map(self._replay, replayable)))
        note(replayed=replayed, matched=len(page.items), endpoint_id=selection.endpoint_id)
        return Replay(replayed, len(page.items) - replayed, page.after)

    async def _replay(self, delivery: Delivery) -> bool:
        reply = await self._delivery_log.replay(delivery, self._clock())
        if reply.orphan:
            raise Unauthenticated(UNKNOWN_KEY)
        self._nudger.nudge_all(reply.nudges)
        if reply.won:
            metrics.tenant_series(metrics.WEBHOOKS_REPLAYED, delivery.tenant_id).inc()
        return reply.won


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
