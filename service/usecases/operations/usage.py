"""Usage of all tenants, deleted ones included: counts and money by tenant, day, model, end user and error code.

Every part reads a limited number of counters. Nothing is added up over generations.
"""

import calendar
import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final, Literal, Self

from service.clock import Clock
from service.domain import end_user, ids
from service.domain.actor import Actor
from service.domain.figures import Figures, by_code, by_model, total
from service.domain.usage import Day, EndUserUsage, dates, periods
from service.errors import FieldError, Invalid, NotFound
from service.store import keys
from service.store.money.usage import UsageStore
from service.store.money.usage_rows import UsageRowStore
from service.store.tenants.tenants import TenantStore
from service.usecases.operations.tenant_names import TenantName, tenant_names
from service.usecases.tenants.usage import MOST_DAYS, EndUserRows
from service.usecases.trail.trail import Trail

By = Literal["tenant", "day", "model", "end_user", "code"]
_MONTH: Final = re.compile(r"\d{4}-\d{2}")


@dataclass(frozen=True, slots=True)
class Period:
    """Days from ``first`` to ``last``, both included."""

    first: date
    last: date

    @property
    def dates(self) -> list[str]:
        return dates(self.first, self.last)

    @property
    def months(self) -> list[str]:
        return list(dict.fromkeys(day[: len("2026-01")] for day in self.dates))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: the fields of its grouping, and figures. ``outcomes`` and ``refusals`` have counts by error code."""

    figures: Figures
    tenant: TenantName | None = None
    date: str | None = None
    model: str | None = None
    code: str | None = None
    end_user: EndUserUsage | None = None
    outcomes: Mapping[str, int] = field(default_factory=dict)
    refusals: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsagePage:
    """A part of a report, with the figures of the whole period. ``after``: entries before the next part; None: last."""

    by: By
    period: Period
    tenant: TenantName | None
    rows: list[Row]
    total: Figures
    after: int | None
    incomplete: bool = False
    """Some end users are missing: the period has more of them than one report reads."""

    def without_names(self) -> Self:
        """Return the page without the names of end users, for roles that may not read data of persons."""
        return replace(self, rows=[_without_name(row) for row in self.rows])


class AccountUsage:
    """Reads for operators."""

    def __init__(
        self,
        usage: UsageStore,
        rows: UsageRowStore,
        tenants: TenantStore,
        trail: Trail,
        *,
        clock: Clock,
    ) -> None:
        self._usage = usage
        self._rows = rows
        self._tenants = tenants
        self._trail = trail
        self._clock = clock

    def period(self, month: str | None = None, start: date | None = None, end: date | None = None) -> Period:
        """Return a month, or the days from ``start`` to ``end``; by default this month. No day after today.

        Raises:
            Invalid: the month is none, both a month and days are given, or the days are none or too many.

        """
        today = self._clock().date()
        if month is not None:
            if start is not None or end is not None:
                raise Invalid(FieldError("/query/month", "give either month, or start and end", "date_range"))
            first = _first_day(month)
            last = first.replace(day=calendar.monthrange(first.year, first.month)[1])
            return Period(first, min(last, today) if first <= today else last)
        last = end or today
        first = start or last.replace(day=1)
        if first > last:
            raise Invalid(FieldError("/query/start", "must not be after end", "date_range"))
        if (last - first).days >= MOST_DAYS:
            raise Invalid(FieldError("/query/end", f"must be at most {MOST_DAYS} days from start", "date_range"))
        return Period(first, last)

    async def read(
        self, by: By, period: Period, *, tenant_id: str | None = None, first: int = 0, limit: int = 100
    ) -> UsagePage:
        """Return a part of the report; ``first``: entries before it. ``tenant_id``: of this tenant only.

        Raises:
            Invalid: a report by end user needs a tenant.
            NotFound: there is no such tenant, and there was none in the period.

        """
        if tenant_id is None and by == "end_user":
            raise Invalid(FieldError("/query/tenant_id", "is required with by=end_user", "missing"))
        days = await self._usage.days(self._id(tenant_id), period.dates)
        tenant = None if tenant_id is None else await self._named(tenant_id, days)
        found: list[Row]
        after, incomplete = None, False
        match by:
            case "tenant" if tenant is not None:
                found = [_of_days(tenant, days)]
            case "tenant":
                found, after = await self._by_tenant(period, first, limit)
            case "end_user" if tenant is not None:
                found, after, incomplete = await self._by_end_user(tenant, period, first, limit)
            case _:
                found, after = _part(_rows_of_days(by, days), first, limit)
        return UsagePage(
            by=by,
            period=period,
            tenant=tenant,
            rows=found,
            total=total(days),
            after=after,
            incomplete=incomplete,
        )

    async def read_as(
        self, actor: Actor, by: By, period: Period, *, tenant_id: str | None = None, first: int = 0, limit: int = 100
    ) -> UsagePage:
        """Return what an actor may read: a viewer receives no names of end users. A read of names is recorded."""
        if by != "end_user" or not actor.may_read_names:
            return (await self.read(by, period, tenant_id=tenant_id, first=first, limit=limit)).without_names()
        async with self._trail.act(actor, "read_account_usage", target=tenant_id, tenant_id=tenant_id):
            return await self.read(by, period, tenant_id=tenant_id, first=first, limit=limit)

    def _id(self, tenant_id: str | None) -> str:
        if tenant_id is None:
            return keys.ACCOUNT
        if not ids.is_id(ids.TENANT, tenant_id):
            raise NotFound("There is no such tenant.")
        return tenant_id

    async def _named(self, tenant_id: str, days: Sequence[Day]) -> TenantName:
        (tenant,) = await tenant_names(self._tenants, [tenant_id])
        if tenant.name is None and total(days).is_empty:
            raise NotFound("There is no such tenant.")
        return tenant

    async def _by_tenant(self, period: Period, first: int, limit: int) -> tuple[list[Row], int | None]:
        listed = await self._listed(period.months, first, limit + 1)
        seen: dict[str, None] = {}
        for number, month in enumerate(period.months):
            of_month = [name for where, name in listed[:limit] if where == month]
            earlier = await self._rows.in_months(of_month, period.months[:number])
            seen.update(dict.fromkeys(name for name in of_month if name not in earlier))
        sums = await self._rows.sums(list(seen), period.dates)
        names = await tenant_names(self._tenants, list(seen))
        rows = [_of_tenant(name, day) for name, day in zip(names, sums, strict=True)]
        return [row for row in rows if not row.figures.is_empty], first + limit if len(listed) > limit else None

    async def _listed(self, months: Sequence[str], first: int, count: int) -> list[tuple[str, str]]:
        """Return a part of the lists of these months, one after the other: month and tenant."""
        found: list[tuple[str, str]] = []
        before = 0
        for month in months:
            if len(found) < count:
                start = max(0, first - before)
                names = await self._rows.tenants(month, first=start, count=count - len(found))
                found += [(month, name) for name in names]
                before += await self._rows.count(month)
        return found

    async def _by_end_user(
        self, tenant: TenantName, period: Period, first: int, limit: int
    ) -> tuple[list[Row], int | None, bool]:
        known, deleted = await self._tenants.load(tenant.id), await self._tenants.deleted([tenant.id])
        own = end_user.pseudonym(known, None) if known else deleted[tenant.id].pseudonym if deleted else None
        parts = periods(period.first, period.last, self._clock().date())
        if len(parts) == 1:
            found, exact = await self._usage.page(tenant.id, parts[0], first=first, count=limit + 1), True
        else:
            found, exact = await self._usage.highest(tenant.id, parts)
            found = found[first : first + limit + 1]
        users = await EndUserRows(self._rows).read(tenant.id, found[:limit], period.dates, own=own)
        rows = [Row(figures=user.figures, end_user=user, refusals=user.refusals) for user in users]
        return rows, first + limit if len(found) > limit else None, not exact


def _without_name(row: Row) -> Row:
    user = row.end_user
    if user is None:
        return row
    return replace(row, end_user=replace(user, spending=replace(user.spending, end_user_id=None)))


def _first_day(month: str) -> date:
    if _MONTH.fullmatch(month):
        with contextlib.suppress(ValueError):
            return date.fromisoformat(f"{month}-01")
    raise Invalid(FieldError("/query/month", "must be a month like 2026-01", "period"))


def _of_tenant(tenant: TenantName, day: Day) -> Row:
    return Row(figures=day.figures, tenant=tenant, outcomes=day.outcomes, refusals=day.refusals)


def _of_days(tenant: TenantName, days: Sequence[Day]) -> Row:
    """Return the sum of days of one tenant as a row."""
    outcomes, refusals = Counter[str](), Counter[str]()
    for day in days:
        outcomes.update(day.outcomes)
        refusals.update(day.refusals)
    return Row(
        figures=total(days),
        tenant=tenant,
        outcomes=dict(sorted(outcomes.items())),
        refusals=dict(sorted(refusals.items())),
    )


def _rows_of_days(by: By, days: Sequence[Day]) -> list[Row]:
    if by == "model":
        return [Row(figures=figures, model=model) for model, figures in by_model(days).items()]
    if by == "code":
        return [Row(figures=figures, code=code) for code, figures in by_code(days).items()]
    return [Row(figures=day.figures, date=day.date, outcomes=day.outcomes, refusals=day.refusals) for day in days]


def _part(rows: Iterable[Row], first: int, limit: int) -> tuple[list[Row], int | None]:
    found = list(rows)[first : first + limit + 1]
    return found[:limit], first + limit if len(found) > limit else None
