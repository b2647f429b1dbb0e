"""Deadline sweeper: expires overdue generations, releases slots, purges old records, continues jobs of operators.

Polls watch the deadline of a job that fal has, since only a poll can make the final check.
"""

from datetime import datetime, timedelta
from typing import Final

from service.clock import Clock
from service.domain import bulk, erasure, ids, transitions, usage
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
from service.store.money import audits
from service.store.queues.due import Claim, Claimed, DueStore
from service.store.queues.tenant_queue import QueueStore
from service.store.webhooks.deliveries import DeliveryStore
from service.usecases.generations import videos
from service.usecases.lifecycle.leases import LEASE
from service.usecases.lifecycle.reconciliation import Reconciliation
from service.usecases.lifecycle.schedule import Schedule
from service.usecases.lifecycle.transition_service import Transition, TransitionService
from service.usecases.log_context import bind_generation
from service.usecases.operations.audit_jobs import AuditJobs
from service.usecases.operations.budget_sampler import BudgetSampler
from service.usecases.operations.bulk.jobs import BulkJobs
from service.usecases.operations.search_index import SearchIndexer
from service.usecases.operations.storage_sampler import StorageSampler
from service.usecases.tenants.erasure import ErasureJobs
from service.usecases.tenants.usage_reports import UsageReports
from service.usecases.trail.trail import Trail
from service.usecases.trail.verification import TrailVerification

#: Pause of an item that cannot end yet: its webhooks are pending, or a stored callback waits for its poll.
_RETRY_AFTER: Final = timedelta(seconds=60)
#: Interval at which a process trims the index of submitted request ids.
_TRIM_EVERY: Final = timedelta(minutes=1)
#: A billing event this long after a job's deadline is not matched with the job any more.
_LATE_BILLING: Final = timedelta(hours=24)


class DeadlineSweeper:
    def __init__(
        self,
        generations: GenerationStore,
        deliveries: DeliveryStore,
        due: DueStore,
        queue: QueueStore,
        submissions: SubmissionStore,
        video_store: VideoStore | None,
        transition_service: TransitionService,
        schedule: Schedule,
        reconciliation: Reconciliation | None,
        erasure_jobs: ErasureJobs,
        audit_jobs: AuditJobs,
        usage_reports: UsageReports,
        bulk_jobs: BulkJobs,
        storage_sampler: StorageSampler,
        search_indexer: SearchIndexer,
        trail: Trail,
        budget_sampler: BudgetSampler,
        chain: TrailVerification,
        *,
        clock: Clock,
    ) -> None:
        self._generations = generations
        self._deliveries = deliveries
        self._due = due
        self._queue = queue
        self._submissions = submissions
        self._video_store = video_store
        self._transitions = transition_service
        self._schedule = schedule
        self._reconciliation = reconciliation
        self._erasure_jobs = erasure_jobs
        self._audit_jobs = audit_jobs
        self._usage_reports = usage_reports
        self._bulk_jobs = bulk_jobs
        self._storage_sampler = storage_sampler
        self._search_indexer = search_indexer
        self._trail = trail
        self._budget_sampler = budget_sampler
        self._chain = chain
        self._clock = clock
        self._trimmed_at: datetime | None = None
        self._log = log.get(__name__)

    async def claim(self, most: int) -> Claim:
        try:
            await self._do_chores()
        except StoreUnavailable as error:  # a chore may need a replica that is gone; a claim needs none
            log_store_failure(self._log, error, operation="sweep_chores")
        return await self._due.claim(WorkQueue.SWEEP, now=self._clock(), most=most, lease=LEASE)

    async def _do_chores(self) -> None:
        """Do what has an interval instead of a due time. What fails is repeated at a later claim."""
        if self._trimmed_at is None or self._clock() - self._trimmed_at >= _TRIM_EVERY:
            await self.trim()
            await self._trail.end_abandoned()
            await self._chain.continue_when_due()
        await self._storage_sampler.sample_when_due()
        await self._budget_sampler.sample_when_due()
        await self._search_indexer.work()

    async def sweep(self, item: Claimed) -> None:
        """Process one due item: a generation, a delivery without a generation, or a job."""
        if ids.is_id(ids.DELIVERY, item.id):
            await self._purge_delivery(item.id)
            return
        if await self._continue_job(item.id):
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

    async def _continue_job(self, name: str) -> bool:
        """Continue a job; False: the name is not one of a job."""
        if erasure.of_job(name) is not None:
            await self._erasure_jobs.continue_job(name)
        elif usage.tenant_of_report_job(name) is not None:
            await self._usage_reports.continue_job(name)
        elif bulk.of_job(name) is not None:
            await self._bulk_jobs.continue_job(name)
        elif name == audits.JOB:
            await self._audit_jobs.continue_job()
        else:
            return False
        return True

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

    async def trim(self) -> None:
        """Remove old entries from the index of submitted request ids.

        While a generation is unconfirmed, the index keeps every request that was at fal at the same time, since
        reconciliation has to distinguish them.
        """
        self._trimmed_at = self._clock()
        oldest = self._clock() - self._schedule.unconfirmed_deadline
        for _, since in await self._queue.unconfirmed(limit=1):
            oldest = min(oldest, since)
        await self._submissions.trim(oldest - self._schedule.upstream_deadline - _LATE_BILLING)

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
