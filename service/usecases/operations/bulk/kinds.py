"""What each kind of bulk job reads, and what it does to one item. Each act checks the filter again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

from service.clock import Clock
from service.domain import ids, transitions
from service.domain.bulk import BulkFilter, BulkJob
from service.domain.generation import Generation
from service.domain.status import Status
from service.domain.webhook import Delivery, DeliveryStatus
from service.errors import Conflict, FieldError, Invalid, NotFound, Unauthenticated
from service.store.generations.generations import Filter, GenerationStore
from service.store.generations.read import GenerationReader
from service.store.paging import ENTRIES_READ, Page
from service.store.tenants.tenants import TenantStore
from service.store.webhooks.deliveries import DeliveryStore
from service.store.webhooks.delivery_log import DeliveryLog
from service.usecases.lifecycle.transition_service import TransitionService
from service.usecases.webhooks.redelivery import DeliveryService

Outcome = Literal["done", "skipped", "failed"]
"""``skipped``: the item does not match any more. ``failed``: the act was refused."""

TENANT_REQUIRED: Final = FieldError(
    "/filter/tenant_id", "is required without ids, unless status is dead: dead letters are listed over all", "missing"
)


@dataclass(frozen=True, slots=True)
class Item:
    """A matching item, as the preview counts it."""

    id: str
    tenant_id: str
    created_at: datetime
    held: int = 0
    """Money on hold that the act releases at once, in micro-USD."""
    billable: int = 0
    """Money on hold that fal may still bill, in micro-USD."""
    end_user: str | None = None
    endpoint_id: str | None = None


class Kind(Protocol):
    """One kind of bulk job."""

    @property
    def id_prefix(self) -> str:
        """Prefix of the ids of its items."""

    async def page(self, wanted: BulkFilter, *, after: str | None) -> Page[Item]:
        """Return the next matching items; a page may have none and not be the last one."""

    async def act(self, job: BulkJob, name: str) -> Outcome:
        """Process one item. A repetition after a crash changes nothing and returns the same outcome."""


class CancelGenerations:
    """Cancels generations as their tenants would: at once while queued, after the submit by a request to fal."""

    id_prefix: Final = ids.GENERATION

    def __init__(
        self, generations: GenerationStore, lists: GenerationReader, transitions: TransitionService, *, clock: Clock
    ) -> None:
        self._generations = generations
        self._lists = lists
        self._transitions = transitions
        self._clock = clock

    async def page(self, wanted: BulkFilter, *, after: str | None) -> Page[Item]:
        if wanted.ids:
            found = await self._generations.load_many(wanted.ids)
            return Page([_generation_item(g) for g in found if g is not None and wanted.matches_generation(g)])
        selection = Filter(
            tenant_id=_tenant_of(wanted),
            end_user=wanted.end_user,
            created_after=wanted.created_after,
            created_before=wanted.created_before,
        )
        page = await self._lists.page(selection, limit=ENTRIES_READ, after=after)
        return Page([_generation_item(g) for g in page.items if wanted.matches_generation(g)], page.after)

    async def act(self, job: BulkJob, name: str) -> Outcome:
        wanted, now = job.effective_filter, self._clock()

        def cancel(g: Generation) -> Generation | None:
            return transitions.cancel(g, now) if wanted.matches_generation(g) else None

        def request_cancel(g: Generation) -> Generation | None:
            return transitions.request_cancel(g, now) if wanted.matches_generation(g) else None

        # The second one: fal has reported a job that was queued again after a refusal.
        for transition in (cancel, request_cancel):
            if await self._transitions.apply(name, transition) is not None:
                return "done"
        g = await self._generations.load(name)
        requested_at = None if g is None else g.cancel_requested_at
        return "done" if requested_at is not None and requested_at >= job.started_at else "skipped"


class ReplayDeliveries:
    """Sends deliveries again, with all attempts of the schedule."""

    id_prefix: Final = ids.DELIVERY

    def __init__(
        self, deliveries: DeliveryStore, delivery_log: DeliveryLog, tenants: TenantStore, service: DeliveryService
    ) -> None:
        self._deliveries = deliveries
        self._delivery_log = delivery_log
        self._tenants = tenants
        self._service = service

    async def page(self, wanted: BulkFilter, *, after: str | None) -> Page[Item]:
        if wanted.ids:
            found = await self._deliveries.load_many(wanted.ids)
            return Page(_delivery_items([one for one in found if one is not None], wanted))
        limit = ENTRIES_READ
        if wanted.tenant_id is None and wanted.status == "dead":
            page = await self._delivery_log.page_of_dead_letters(wanted.deliveries, limit=limit, after=after)
        else:
            page = await self._delivery_log.page(_tenant_of(wanted), wanted.deliveries, limit=limit, after=after)
        return Page(_delivery_items(page.items, wanted), page.after)

    async def act(self, job: BulkJob, name: str) -> Outcome:
        (found,) = await self._deliveries.load_many([name])
        if found is None:
            return "skipped"
        if _is_replayed(found, job.started_at):
            return "done"
        tenant = await self._tenants.load(found.tenant_id)
        if tenant is None or not job.effective_filter.matches_delivery(found):
            return "skipped"
        try:
            await self._service.redeliver(tenant, name)
        except (NotFound, Unauthenticated):  # purged, or its tenant was deleted
            return "skipped"
        except Conflict:  # its endpoint is disabled or deleted
            return "failed"
        return "done"


def _tenant_of(wanted: BulkFilter) -> str:
    if wanted.tenant_id is None:
        raise Invalid(TENANT_REQUIRED)
    return wanted.tenant_id


def _generation_item(g: Generation) -> Item:
    is_free = g.status is Status.QUEUED
    return Item(
        g.id,
        g.tenant_id,
        g.created_at,
        held=g.estimated_cost if is_free else 0,
        billable=0 if is_free else g.estimated_cost,
        end_user=g.end_user,
    )


def _delivery_items(found: Sequence[Delivery], wanted: BulkFilter) -> list[Item]:
    return [
        Item(one.id, one.tenant_id, one.created_at, endpoint_id=one.endpoint_id)
        for one in found
        if wanted.matches_delivery(one)
    ]


def _is_replayed(delivery: Delivery, since: datetime) -> bool:
    """Return whether the delivery is sent anyway, or was attempted since this time."""
    is_pending = delivery.status is DeliveryStatus.PENDING
    return is_pending or any(attempt.at >= since for attempt in delivery.attempts[-1:])
