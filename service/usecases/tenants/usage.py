"""Usage of a tenant: generations and spending by day and by end user."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from service.clock import Clock
from service.domain import budgets, end_user
from service.domain.budgets import Standing
from service.domain.figures import Figures
from service.domain.tenant import Tenant
from service.domain.usage import Day, EndUserKind, EndUserSpending, EndUserUsage, dates, periods
from service.errors import FieldError, Invalid
from service.store import keys
from service.store.money.money import MoneyStore
from service.store.money.usage import UsageStore
from service.store.money.usage_rows import UsageRowStore
from service.usecases.generations.concurrency import ReadQueue

MOST_DAYS: Final = 92
_PERIOD: Final = re.compile(r"\d{4}-\d{2}(-\d{2})?")


@dataclass(frozen=True, slots=True)
class Report:
    days: list[Day]
    end_users: list[EndUserSpending]
    exact: bool
    """Whether ``end_users`` are those with the highest spending, with their exact sums."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a list of end users. ``after``: entries before the next part; None: this is the last one."""

    end_users: list[EndUserSpending]
    after: int | None


class EndUserRows:
    """Adds figures to a part of a list of end users."""

    def __init__(self, store: UsageRowStore) -> None:
        self._store = store

    async def read(
        self, tenant_id: str, found: Sequence[EndUserSpending], days: Sequence[str], *, own: str | None
    ) -> list[EndUserUsage]:
        """Return the figures over these days. ``own``: pseudonym of generations without an end user, if it is known."""
        if not found:
            return []
        sums = await self._store.end_users(tenant_id, [user.pseudonym for user in found], days)
        refusals = await self._store.refusals(tenant_id, days)
        return [
            _with_figures(user, sum_, refusals.get(user.pseudonym, {}), own)
            for user, sum_ in zip(found, sums, strict=True)
        ]


def _with_figures(user: EndUserSpending, sums: Figures, refusals: dict[str, int], own: str | None) -> EndUserUsage:
    kind: EndUserKind = "erased" if sums.created else "unnamed"  # an accepted create names its end user
    if user.end_user_id is not None:
        kind = "named"
    elif user.pseudonym == own:
        kind = "none"
    figures = replace(sums, refused=sum(refusals.values()))
    return EndUserUsage(user, kind, figures, dict(refusals))


class Usage:
    """Reads for tenants. None of them grows with the number of end users, generations or days of the tenant."""

    def __init__(
        self, store: UsageStore, rows: UsageRowStore, money: MoneyStore, reads: ReadQueue, *, clock: Clock
    ) -> None:
        self._store = store
        self._end_users = EndUserRows(rows)
        self._money = money
        self._reads = reads
        self._clock = clock

    async def report(self, tenant_id: str, start: date | None, end: date | None) -> Report:
        """Return every day from ``start`` to ``end``, both included. By default the current month until today.

        Raises:
            Invalid: the range is empty or longer than MOST_DAYS.

        """
        today = self._clock().date()
        last = end or today
        first = start or last.replace(day=1)
        _check_range(first, last)
        async with self._reads.turn(tenant_id):
            days = await self._store.days(tenant_id, dates(first, last))
            return Report(days, *await self._store.highest(tenant_id, periods(first, last, today)))

    async def days(self, tenant_id: str, first: date, last: date) -> list[Day]:
        """Return every day from ``first`` to ``last``, without end users. Raises as ``report``."""
        _check_range(first, last)
        async with self._reads.turn(tenant_id):
            return await self._store.days(tenant_id, dates(first, last))

    async def with_figures(self, tenant: Tenant, report: Report) -> list[EndUserUsage]:
        """Return the end users of a report with their counts."""
        days = [day.date for day in report.days]
        async with self._reads.turn(tenant.id):
            return await self._end_users.read(tenant.id, report.end_users, days, own=end_user.pseudonym(tenant, None))

    async def end_users(self, tenant_id: str, period: str | None, *, limit: int, first: int) -> Part:
        """Return a part of the list of a day or a month; ``first``: entries before it. By default this month's.

        Raises:
            Invalid: the period is neither a day nor a month.

        """
        period = checked_period(budgets.month(self._clock()) if period is None else period)
        async with self._reads.turn(tenant_id):
            found = await self._store.page(tenant_id, period, first=first, count=limit + 1)
        return part_of(found, first=first, limit=limit)

    async def month(self, tenant_id: str) -> Standing:
        """Return what is held and spent of this month's budget, in micro-USD."""
        return await self._money.standing(keys.money_of_tenant(tenant_id, budgets.month(self._clock())))


def part_of(found: list[EndUserSpending], *, first: int, limit: int) -> Part:
    """Return the part of ``limit`` entries; ``found`` has one entry more, unless the list ends before."""
    return Part(found[:limit], first + limit if len(found) > limit else None)


def checked_period(period: str, *, months_only: bool = False) -> str:
    """Return a month, or a day. Raises Invalid: the text is neither."""
    if months_only and (len(period) != len("2026-01") or not _is_period(period)):
        raise Invalid(FieldError("/query/month", "must be a month like 2026-01", "period"))
    if not _is_period(period):
        raise Invalid(FieldError("/query/period", "must be a day (2026-01-31) or a month (2026-01)", "period"))
    return period


def _is_period(text: str) -> bool:
    if not _PERIOD.fullmatch(text):
        return False
    try:
        date.fromisoformat(f"{text}-01"[: len("2026-01-31")])
    except ValueError:
        return False
    return True


def _check_range(first: date, last: date) -> None:
    if first > last:
        raise Invalid(FieldError("/query/start", "must not be after end", "date_range"))
    if (last - first).days >= MOST_DAYS:
        raise Invalid(FieldError("/query/end", f"must be at most {MOST_DAYS} days from start", "date_range"))
