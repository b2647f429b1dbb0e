"""Bulk jobs over generations: cancel them, or dismiss their unconfirmed submits."""

from dataclasses import replace
from typing import Final

from service.clock import Clock
from service.domain import ids, transitions
from service.domain.bulk import BulkJob, Selection
from service.domain.generation import Generation
from service.domain.generation_filter import Filter
from service.domain.status import PublicStatus, Status, StatusGroup
from service.store.generations.generations import GenerationStore
from service.store.generations.read import GenerationReader
from service.store.paging import ENTRIES_READ, Page
from service.store.queues.tenant_queue import QueueStore
from service.usecases.lifecycle.transition_service import TransitionService
from service.usecases.operations.bulk.kinds import Count, Item, Outcome


class Generations:
    """Selected generations before an end, from the index that the search of operators reads."""

    def __init__(self, generations: GenerationStore, lists: GenerationReader) -> None:
        self._generations = generations
        self._lists = lists

    async def load(self, name: str) -> Generation | None:
        return await self._generations.load(name)

    async def page(
        self, wanted: Selection, default: PublicStatus | StatusGroup, *, after: str | None, oldest_first: bool
    ) -> Page[Generation]:
        """Return the next ones with these ids, or that match. ``default``: the status, if none is named."""
        if wanted.ids:
            found = await self._generations.load_many(wanted.ids)
            return Page([g for g in found if g is not None and wanted.has(g)])
        conditions = wanted.generations
        conditions = replace(conditions, status=conditions.status or default, oldest_first=oldest_first)
        return await self._lists.page(
            conditions, limit=ENTRIES_READ, most_read=ENTRIES_READ, after=after, over_all=True
        )


class _Acts:
    """What both kinds of job need."""

    id_prefix: Final = ids.GENERATION

    def __init__(
        self, generations: Generations, queue: QueueStore, transitions: TransitionService, *, clock: Clock
    ) -> None:
        self._generations = generations
        self._queue = queue
        self._transitions = transitions
        self._clock = clock


class CancelGenerations(_Acts):
    """Cancels generations as their tenants would: at once while queued, after the submit by a request to fal."""

    def needs_tenant(self, wanted: Selection) -> bool:
        return not wanted.ids

    async def page(self, wanted: Selection, *, after: str | None, oldest_first: bool = False) -> Page[Item]:
        page = await self._generations.page(wanted, StatusGroup.LIVE, after=after, oldest_first=oldest_first)
        return Page([_item_of_cancel(g) for g in page.items if _can_cancel(g)], page.after)

    async def count(self, wanted: Selection) -> Count | None:
        """Count the queue of a tenant, all of which match. Delayed and submitted generations are not in it."""
        conditions = wanted.generations
        tenant_id, is_queued = conditions.tenant_id, conditions.status in (None, PublicStatus.QUEUED)
        if tenant_id is None or not is_queued or replace(conditions, tenant_id=None, status=None) != Filter():
            return None
        return Count(await self._queue.queued_count(tenant_id), is_exact=False)

    async def act(self, job: BulkJob, name: str) -> Outcome:
        wanted, now = job.effective_selection, self._clock()

        def cancel(g: Generation) -> Generation | None:
            return transitions.cancel(g, now) if wanted.has(g) and _can_cancel(g) else None

        def request_cancel(g: Generation) -> Generation | None:
            return transitions.request_cancel(g, now) if wanted.has(g) and _can_cancel(g) else None

        # The second one: fal has reported a job that was queued again after a refusal.
        for transition in (cancel, request_cancel):
            if await self._transitions.apply(name, transition) is not None:
                return "done"
        g = await self._generations.load(name)
        requested_at = None if g is None else g.cancel_requested_at
        return "done" if requested_at is not None and requested_at >= job.started_at else "skipped"


class DismissSubmits(_Acts):
    """Fails unconfirmed generations at no cost: an operator declares that fal accepted none of their submits."""

    def needs_tenant(self, wanted: Selection) -> bool:  # noqa: ARG002  (of the protocol)
        """Return False: the slots of the account limit how many submits are unconfirmed."""
        return False

    async def page(self, wanted: Selection, *, after: str | None, oldest_first: bool = False) -> Page[Item]:
        page = await self._generations.page(wanted, PublicStatus.UNCONFIRMED, after=after, oldest_first=oldest_first)
        return Page([_item_of_dismissal(g) for g in page.items if g.status is Status.UNCONFIRMED], page.after)

    async def count(self, wanted: Selection) -> Count | None:
        conditions = wanted.generations
        if wanted.ids or replace(conditions, submitted_before=None) != Filter():
            return None
        return Count(await self._queue.unconfirmed_count(before=conditions.submitted_before), is_exact=True)

    async def act(self, job: BulkJob, name: str) -> Outcome:
        wanted, now = job.effective_selection, self._clock()

        def dismiss(g: Generation) -> Generation | None:
            return transitions.dismiss(g, now) if wanted.has(g) else None

        # Nothing changes if fal has reported the generation meanwhile: its next poll ends it.
        if await self._transitions.apply(name, dismiss, why=job.reason) is not None:
            return "done"
        g = await self._generations.load(name)
        if g is None or g.error != transitions.NOT_SUBMITTED or g.finished_at is None:
            return "skipped"
        return "done" if g.finished_at >= job.started_at else "skipped"


def _can_cancel(g: Generation) -> bool:
    # While its video is copied, nothing is left to cancel.
    return not g.is_terminal and g.cancel_requested_at is None and g.status is not Status.COPYING


def _item_of_cancel(g: Generation) -> Item:
    is_free = g.status is Status.QUEUED
    return Item(
        g.id,
        g.tenant_id,
        g.created_at,
        held=g.estimated_cost if is_free else 0,
        billable=0 if is_free else g.estimated_cost,
        end_user=g.end_user,
    )


def _item_of_dismissal(g: Generation) -> Item:
    cost = g.estimated_cost
    return Item(g.id, g.tenant_id, g.created_at, held=cost, billable=cost, end_user=g.end_user)
