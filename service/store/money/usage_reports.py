"""Usage reports over long periods: computed part by part by the sweep, read by pages, one for each tenant."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal

from service.domain import ids
from service.domain.usage import EndUserSpending, UsageReport, report_job
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.money.money import usage_keys
from service.store.money.usage import UsageStore
from service.store.redis.client import Redis, Script
from service.store.times import moment

_BEGIN: Final = Script("begin_usage_report")
_EXTEND: Final = Script("extend_usage_report")
#: Entries that one script adds: Redis serves no other client meanwhile.
PART: Final = 200


@dataclass(frozen=True, slots=True)
class Begun:
    """``joined``: the report over the same days is running. ``busy``: another one is. ``gone``: there is no tenant."""

    result: Literal["begun", "joined", "busy", "gone"]
    report_id: str


class UsageReportStore:
    """State and lists of usage reports."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._usage = UsageStore(redis)

    async def begin(self, tenant_id: str, start: date, end: date, *, now: datetime) -> Begun:
        """Begin a report, which replaces the last one unless that one is running.

        Raises:
            StoreFull: Redis accepts nothing new.

        """
        await self._redis.memory.demand_room()
        result, report_id = await self._redis.run(
            _BEGIN,
            {
                "report": keys.usage_report(tenant_id),
                "due_sweep": keys.due(WorkQueue.SWEEP),
                "tenant": keys.tenant(tenant_id),
            },
            {
                "report_id": ids.new(ids.USAGE_REPORT, now),
                "first_day": start.isoformat(),
                "last_day": end.isoformat(),
                "now_ms": ids.milliseconds(now),
                "job_name": report_job(tenant_id),
                "list_prefix": keys.usage_report_end_users(tenant_id, ""),
                "retention_seconds": keys.USAGE_REPORT_RETENTION_SECONDS,
            },
        )
        return Begun(result.decode(), report_id.decode())

    async def load(self, tenant_id: str) -> UsageReport | None:
        """Return the running or last report of a tenant; None: there is none."""
        names = ("id", "state", "start", "end", "day", "offset", "started", "finished")
        found = await self._redis.execute("HMGET", keys.usage_report(tenant_id), *names)
        report_id, state, start, end, day, offset, started, finished = found
        if report_id is None:
            return None
        end_users = await self._redis.execute("ZCARD", keys.usage_report_end_users(tenant_id, report_id.decode()))
        return UsageReport(
            id=report_id.decode(),
            tenant_id=tenant_id,
            state="done" if state == b"done" else "running",
            start=date.fromisoformat(start.decode()),
            end=date.fromisoformat(end.decode()),
            days_done=int(day),
            offset=int(offset),
            started_at=ids.from_milliseconds(int(started)),
            finished_at=moment(finished),
            end_users=int(end_users),
        )

    async def extend(self, report: UsageReport, *, now: datetime) -> None:
        """Add the next part to a report. Nothing changes if another worker has added it."""
        usage = usage_keys(report.tenant_id, report.next_day)
        await self._redis.run(
            _EXTEND,
            {
                "report": keys.usage_report(report.tenant_id),
                "list": keys.usage_report_end_users(report.tenant_id, report.id),
                "usage": usage["usage"],
                "spending_of_day": usage["spending_of_day"],
                "due_sweep": keys.due(WorkQueue.SWEEP),
            },
            {
                "report_id": report.id,
                "day": report.days_done,
                "days": report.days,
                "offset": report.offset,
                "limit": PART,
                "now_ms": ids.milliseconds(now),
                "job_name": report_job(report.tenant_id),
                "retention_seconds": keys.USAGE_REPORT_RETENTION_SECONDS,
            },
        )

    async def page(self, report: UsageReport, *, first: int, count: int) -> list[EndUserSpending]:
        """Return a part of the report's list, the highest spending first; ``first``: entries before it."""
        key = keys.usage_report_end_users(report.tenant_id, report.id)
        return await self._usage.page_of(report.tenant_id, key, first=first, count=count)
