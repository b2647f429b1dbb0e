"""Usage reports: the complete list of end users of a long period, as a job of the sweep.

A report adds up the lists of its days in small parts, outside of any request. The job is durable and resumable.
"""

import asyncio
from datetime import date
from typing import Final

from service.clock import Clock
from service.domain.usage import UsageReport, tenant_of_report_job
from service.domain.work_queue import WorkQueue
from service.errors import Conflict, FieldError, Invalid, NotFound, Unauthenticated
from service.observability import log
from service.store.keys import MONEY_RETENTION_SECONDS
from service.store.money.usage_reports import UsageReportStore
from service.store.queues.due import DueStore
from service.usecases.generations.concurrency import ReadQueue
from service.usecases.tenants.authentication import UNKNOWN_KEY
from service.usecases.tenants.usage import Part, part_of

#: Usage is stored for this many days.
MOST_DAYS: Final = MONEY_RETENTION_SECONDS // 86_400
#: One claim of the job works this long, so that other items of the sweep are processed too.
_CLAIM_SECONDS: Final = 5.0


class UsageReports:
    def __init__(self, store: UsageReportStore, due: DueStore, reads: ReadQueue, *, clock: Clock) -> None:
        self._store = store
        self._due = due
        self._reads = reads
        self._clock = clock
        self._log = log.get(__name__)

    async def create(self, tenant_id: str, start: date, end: date) -> UsageReport:
        """Begin a report over ended days, or return the running one over the same days.

        Raises:
            Invalid: the range is empty, too long, or does not end before today.
            Conflict: another report of the tenant is running.
            StoreFull: Redis accepts nothing new.
            Unauthenticated: the tenant was deleted after its key was checked.

        """
        if end >= self._clock().date():
            raise Invalid(FieldError("/end", "must be before today (UTC): the money of today changes", "date_range"))
        if start > end:
            raise Invalid(FieldError("/start", "must not be after end", "date_range"))
        if (end - start).days >= MOST_DAYS:
            raise Invalid(FieldError("/end", f"must be at most {MOST_DAYS} days from start", "date_range"))
        begun = await self._store.begin(tenant_id, start, end, now=self._clock())
        if begun.result == "gone":
            raise Unauthenticated(UNKNOWN_KEY)
        if begun.result == "busy":
            raise Conflict(f"The usage report {begun.report_id} is running; create the next one when it has ended.")
        return await self.get(tenant_id, begun.report_id)

    async def get(self, tenant_id: str, report_id: str) -> UsageReport:
        """Return a report. Raises NotFound if it is unknown, expired, replaced, or another tenant's."""
        report = await self._store.load(tenant_id)
        if report is None or report.id != report_id:
            raise NotFound("There is no such usage report. It is stored for a day, or until the next one is created.")
        return report

    async def end_users(self, report: UsageReport, *, limit: int, first: int) -> Part:
        """Return a part of the list of an ended report; empty while it is running."""
        if report.state == "running":
            return Part([], None)
        async with self._reads.turn(report.tenant_id):
            found = await self._store.page(report, first=first, count=limit + 1)
        return part_of(found, first=first, limit=limit)

    async def continue_job(self, name: str) -> None:
        """Continue a job of the sweep for ``_CLAIM_SECONDS``. The rest is due again at once."""
        tenant_id = tenant_of_report_job(name)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _CLAIM_SECONDS
        while tenant_id is not None:
            report = await self._store.load(tenant_id)
            if report is None or report.state == "done":
                await self._end(name, report)
                return
            if loop.time() >= deadline:
                await self._due.reschedule(WorkQueue.SWEEP, name, self._clock())
                return
            await self._store.extend(report, now=self._clock())

    async def _end(self, name: str, report: UsageReport | None) -> None:
        if report is None:  # expired while no worker ran
            await self._due.remove(WorkQueue.SWEEP, name)
            return
        self._log.info("usage_report_ended", tenant=report.tenant_id, days=report.days, end_users=report.end_users)
