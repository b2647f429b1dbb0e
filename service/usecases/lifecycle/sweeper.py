"""Deadline sweeper: expires overdue generations, releases slots, purges old records.

Polls watch the deadline of a job that fal has, since only a poll can make the final check.
"""

from datetime import datetime, timedelta
from typing import Final

from service.clock import Clock
from service.domain import ids, transitions
from service.domain.generation import Generation
from service.domain.status import UPSTREAM, Status
from service.domain.webhook import DeliveryStatus
from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.media.videos import VideoStore
from service.observability import log, metrics
from service.observability.outages import log_store_failure
from service.store.generations.generations import GenerationStore
from service.store.generations.submissions import SubmissionStore
from service.store.queues.due import Claim, Claimed, DueStore
from service.store.webhooks.deliveries import DeliveryStore
from service.usecases.generations import videos
from service.usecases.lifecycle.chores import Chores
from service.usecases.lifecycle.jobs import Jobs
from service.usecases.lifecycle.leases import LEASE
from service.usecases.lifecycle.reconciliation import Reconciliation
from service.usecases.lifecycle.schedule import Schedule
from service.usecases.lifecycle.transition_service import Transition, TransitionService
from service.usecases.log_context import bind_generation

#: Pause of an item that cannot end yet: its webhooks are pending, or a stored callback waits for its poll.
_RETRY_AFTER: Final = timedelta(seconds=60)


class DeadlineSweeper:
    def __init__(
        self,
        generations: GenerationStore,
        deliveries: DeliveryStore,
        due: DueStore,
        submissions: SubmissionStore,
        video_store: VideoStore | None,
        transition_service: TransitionService,
        schedule: Schedule,
        reconciliation: Reconciliation | None,
        jobs: Jobs,
        chores: Chores,
        *,
        clock: Clock,
    ) -> None:
        self._generations = generations
        self._deliveries = deliveries
        self._due = due
        self._submissions = submissions
        self._video_store = video_store
        self._transitions = transition_service
        self._schedule = schedule
        self._reconciliation = reconciliation
        self._jobs = jobs
        self._chores = chores
        self._clock = clock
        self._log = log.get(__name__)

    async def claim(self, most: int) -> Claim:
        try:
            await self._chores.do_due()
        except StoreUnavailable as error:  # a chore may need a replica that is gone; a claim needs none
            log_store_failure(self._log, error, operation="sweep_chores")
        return await self._due.claim(WorkQueue.SWEEP, now=self._clock(), most=most, lease=LEASE)

    async def sweep(self, item: Claimed) -> None:
        """Process one due item: a generation, a delivery without a generation, or a job."""
        if ids.is_id(ids.DELIVERY, item.id):
            await self._purge_delivery(item.id)
            return
        if await self._jobs.continue_job(item.id):
            return
        g = await self._generations.load(item.id)
        if g is None:
            await self._due.remove(WorkQueue.SWEEP, item.id)
            return
        bind_generation(g)
        if self._slot_ends(g):
            released = await self._transitions.apply(
                g.id, lambda current: current.without_slot() if self._slot_ends(current) else None
            )
            g = released or g
        if g.status in UPSTREAM:
            await self._due.remove(WorkQueue.SWEEP, g.id)  # set by an older release: polls watch this deadline now
        elif g.status is Status.UNCONFIRMED and self._reconciliation is not None:
            await self._reconcile(g, self._reconciliation)
        elif not self._is_due(g):
            await self._reschedule(g)
        elif g.is_terminal:
            await self._purge(g)
        else:
            await self._end(g, self._after_deadline)

    async def _reconcile(self, g: Generation, reconciliation: Reconciliation) -> None:
        """Reconcile an unconfirmed generation. Past its deadline end it, if need be without having read the bill."""
        outcome = await reconciliation.reconcile(g)
        now = self._clock()
        late = now - self._schedule.deadline(g, now)
        if outcome == "adopted":
            return
        if late < timedelta():
            await self._reschedule(g)
        elif outcome == "trouble" and late < self._schedule.unconfirmed_deadline:
            await self._generations.reschedule_sweep(g, now + reconciliation.every)
        elif outcome == "unbilled":
            if await self._end(g, lambda current: transitions.after_unbilled(current, now), why="no billing event"):
                metrics.RECONCILIATIONS.labels("not_billed").inc()
        elif outcome == "ambiguous":
            await self._give_up_billed(g, now)
        else:
            await self._end(g, self._after_deadline)

    async def _end(self, g: Generation, transition: Transition, *, why: str = "") -> Generation | None:
        """Apply the transition. If a stored callback that waits for its poll prevents it, sweep again in a minute."""
        moved = await self._transitions.apply(g.id, transition, why=why)
        if moved is None:
            await self._generations.reschedule_sweep(g, self._clock() + _RETRY_AFTER)
        return moved

    async def _give_up_billed(self, g: Generation, now: datetime) -> None:
        """End a generation that fal may have billed. It is marked first, so that no crash ends it without the mark."""
        await self._submissions.mark_lost(g.id, now)
        moved = await self._transitions.apply(g.id, self._after_deadline)
        if moved is None:
            await self._submissions.unmark_lost(g.id)
        else:
            self._log.error("paid_and_lost", generation_id=g.id, fal_request_id=None)

    async def _reschedule(self, g: Generation) -> None:
        now = self._clock()
        await self._generations.reschedule_sweep(g, self._schedule.due(g, now).sweep or now)

    async def _purge(self, g: Generation) -> None:
        """Purge a generation and its deliveries, which contain its data. While one is pending, retry in a minute.

        The script that purges the deliveries checks this again: a replay may come after the first check.
        """
        if await self._deliveries.pending(g.deliveries) or not await self._deliveries.purge(g.tenant_id, g.deliveries):
            await self._generations.reschedule_sweep(g, self._clock() + _RETRY_AFTER)
            return
        await videos.delete(self._video_store, g)
        await self._generations.purge(g)

    async def _purge_delivery(self, name: str) -> None:
        """Purge a delivery without a generation: a test, or an event of an endpoint."""
        delivery = await self._deliveries.load(name)
        if delivery is None:
            await self._due.remove(WorkQueue.SWEEP, name)
        elif delivery.status is DeliveryStatus.PENDING or not await self._deliveries.purge(delivery.tenant_id, [name]):
            await self._due.reschedule(WorkQueue.SWEEP, name, self._clock() + _RETRY_AFTER)

    def _slot_ends(self, g: Generation) -> bool:
        now = self._clock()
        waits = g.status is Status.UNCONFIRMED and not g.slot_released
        return waits and self._schedule.slot_ends(g, now) <= now

    def _after_deadline(self, g: Generation) -> Generation | None:
        return transitions.after_deadline(g, self._clock()) if self._is_due(g) else None

    def _is_due(self, g: Generation) -> bool:
        """Return whether the deadline in the record has passed. A transition since the claim may have changed it."""
        now = self._clock()
        return self._schedule.deadline(g, now) <= now
