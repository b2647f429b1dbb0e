"""Chores of the workers: work that has an interval instead of a due time."""

from datetime import datetime, timedelta
from typing import Final

from service.clock import Clock
from service.store.generations.submissions import SubmissionStore
from service.store.queues.tenant_queue import QueueStore
from service.usecases.lifecycle.schedule import Schedule
from service.usecases.operations.budget_sampler import BudgetSampler
from service.usecases.operations.search_index import SearchIndexer
from service.usecases.operations.storage_sampler import StorageSampler
from service.usecases.trail.trail import Trail
from service.usecases.trail.verification import TrailVerification

#: Interval at which a process trims the index of submitted request ids.
_TRIM_EVERY: Final = timedelta(minutes=1)
#: A billing event this long after a job's deadline is not matched with the job any more.
_LATE_BILLING: Final = timedelta(hours=24)


class Chores:
    def __init__(
        self,
        queue: QueueStore,
        submissions: SubmissionStore,
        schedule: Schedule,
        trail: Trail,
        chain: TrailVerification,
        storage_sampler: StorageSampler,
        budget_sampler: BudgetSampler,
        search_indexer: SearchIndexer,
        *,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._submissions = submissions
        self._schedule = schedule
        self._trail = trail
        self._chain = chain
        self._storage_sampler = storage_sampler
        self._budget_sampler = budget_sampler
        self._search_indexer = search_indexer
        self._clock = clock
        self._trimmed_at: datetime | None = None

    async def do_due(self) -> None:
        """Do each chore whose interval has passed. What fails is repeated at a later call."""
        if self._trimmed_at is None or self._clock() - self._trimmed_at >= _TRIM_EVERY:
            await self.trim_submissions()
            await self._trail.end_abandoned()
            await self._chain.continue_when_due()
        await self._storage_sampler.sample_when_due()
        await self._budget_sampler.sample_when_due()
        await self._search_indexer.work()

    async def trim_submissions(self) -> None:
        """Remove old entries from the index of submitted request ids.

        While a generation is unconfirmed, the index keeps every request that was at fal at the same time, since
        reconciliation has to distinguish them.
        """
        self._trimmed_at = self._clock()
        oldest = self._clock() - self._schedule.unconfirmed_deadline
        for _, since in await self._queue.unconfirmed(limit=1):
            oldest = min(oldest, since)
        await self._submissions.trim(oldest - self._schedule.upstream_deadline - _LATE_BILLING)
