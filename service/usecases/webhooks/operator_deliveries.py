"""Deliveries and receivers over all tenants, for operators."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from service.clock import Clock
from service.domain import ids
from service.domain.webhook import Delivery, DeliveryFilter, DeliveryStatus
from service.domain.webhook_endpoint import ReceiverPosition
from service.errors import FieldError, Invalid, NotFound, Unauthenticated
from service.store.generations.generations import GenerationStore
from service.store.paging import ENTRIES_READ, Page
from service.store.webhooks.deliveries import DeliveryStore
from service.store.webhooks.delivery_log import DeliveryLog
from service.store.webhooks.endpoints import EndpointStore
from service.store.webhooks.receivers import FailingReceiver, ReceiverStore
from service.usecases.tenants.tenants import Tenants
from service.usecases.trail.recording import note_target
from service.usecases.webhooks.redelivery import DeliveryService

_UNKNOWN: Final = "There is no such delivery."


class OperatorDeliveries:
    def __init__(
        self,
        deliveries: DeliveryStore,
        delivery_log: DeliveryLog,
        endpoints: EndpointStore,
        receivers: ReceiverStore,
        generations: GenerationStore,
        service: DeliveryService,
        tenants: Tenants,
        *,
        clock: Clock,
    ) -> None:
        self._deliveries = deliveries
        self._delivery_log = delivery_log
        self._endpoints = endpoints
        self._receivers = receivers
        self._generations = generations
        self._service = service
        self._tenants = tenants
        self._clock = clock

    async def page(
        self,
        selection: DeliveryFilter,
        *,
        tenant_id: str | None = None,
        limit: int,
        after: str | None,
        most_read: int = ENTRIES_READ,
    ) -> Page[Delivery]:
        """Return a page of deliveries, newest first. ``most_read``: deliveries that are examined at most.

        Dead letters of all tenants have an index. All others are listed of one tenant, or of one generation.

        Raises:
            Invalid: neither is given, and ``selection`` is not restricted to dead letters.

        """
        if selection.generation_id is not None:
            tenant_id = await self._tenant_of(selection.generation_id, tenant_id)
            if tenant_id is None:
                return Page()
        if tenant_id is not None:
            return await self._service.list_of(tenant_id, selection, limit=limit, after=after, most_read=most_read)
        if selection.status is not DeliveryStatus.DEAD:
            fault = "or generation_id is required, unless status is dead: only dead letters are listed over all tenants"
            raise Invalid(FieldError("/query/tenant_id", fault, "tenant_required"))
        page = await self._delivery_log.page_of_dead_letters(selection, limit=limit, after=after, most_read=most_read)
        return replace(page, items=await self._with_urls(page.items))

    async def _tenant_of(self, generation_id: str, tenant_id: str | None) -> str | None:
        g = await self._generations.load(generation_id) if ids.is_id(ids.GENERATION, generation_id) else None
        return None if g is None or tenant_id not in (None, g.tenant_id) else g.tenant_id

    async def _with_urls(self, found: list[Delivery]) -> list[Delivery]:
        """Fill in the URLs of endpoints, in one exchange."""
        pairs = sorted({(each.tenant_id, each.endpoint_id) for each in found if each.endpoint_id is not None})
        endpoints = await self._endpoints.load_many(pairs)
        urls = {pair: endpoint.url for pair, endpoint in zip(pairs, endpoints, strict=True) if endpoint is not None}
        return [replace(each, url=urls.get((each.tenant_id, each.endpoint_id or ""), each.url)) for each in found]

    async def get(self, delivery_id: str) -> Delivery:
        """Return a delivery of any tenant, with its attempts and without its body. Raises NotFound."""
        (shown,) = await self._with_urls([await self._load(delivery_id)])
        return shown

    async def replay(self, delivery_id: str) -> Delivery:
        """Send a delivery of any tenant again, with all attempts of the schedule.

        Raises:
            NotFound: there is no such delivery, or its tenant was deleted.
            Conflict: its endpoint is disabled or deleted.

        """
        found = await self._load(delivery_id)
        note_target(delivery_id, tenant_id=found.tenant_id)
        tenant = await self._tenants.get(found.tenant_id)
        try:
            return replace(await self._service.redeliver(tenant, delivery_id), body="")
        except Unauthenticated:  # the tenant was deleted after it was read
            raise NotFound(_UNKNOWN) from None

    async def failing_receivers(
        self, *, minutes: int, limit: int, after: ReceiverPosition | None = None, brief: bool = False
    ) -> tuple[list[FailingReceiver], int]:
        """Return the receivers whose attempts only fail for ``minutes`` or longer, and their number.

        ``after``: the last one of the page before. ``brief``: without the last attempts.
        """
        before = self._clock() - timedelta(minutes=minutes)
        return await self._receivers.failing(before, limit=limit, after=after, brief=brief)

    async def _load(self, delivery_id: str) -> Delivery:
        known = ids.is_id(ids.DELIVERY, delivery_id)
        (found,) = await self._deliveries.load_many([delivery_id]) if known else [None]
        if found is None:
            raise NotFound(_UNKNOWN)
        return found
