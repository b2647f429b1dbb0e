"""Lists of usage by sums that are kept: tenants and end users by what they have spent.

A row costs one command at most, however long the month is. Reports with counts of each outcome are in ``usage``.
"""

from dataclasses import dataclass

from service.clock import Clock
from service.domain import budgets, ids
from service.domain.actor import Actor
from service.domain.budgets import Standing
from service.domain.usage import EndUserSpending
from service.errors import NotFound
from service.store import keys
from service.store.money.money import MoneyStore
from service.store.money.usage import UsageStore
from service.store.money.usage_rows import UsageRowStore
from service.store.tenants.tenants import TenantStore
from service.usecases.operations.tenant_names import TenantName, tenant_names
from service.usecases.tenants.usage import checked_period
from service.usecases.trail.trail import Trail


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantMonth:
    """A tenant in a month: what is held and spent of its budget, and the number of its generations."""

    tenant: TenantName
    money: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantList:
    """``after``: entries before the next part; None: this is the last one."""

    month: str
    rows: list[TenantMonth]
    after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndUserList:
    """``after``: entries before the next part; None: this is the last one."""

    period: str
    tenant: TenantName
    rows: list[EndUserSpending]
    after: int | None


class UsageLists:
    """Reads for operators."""

    def __init__(
        self,
        usage: UsageStore,
        rows: UsageRowStore,
        tenants: TenantStore,
        money: MoneyStore,
        trail: Trail,
        *,
        clock: Clock,
    ) -> None:
        self._usage = usage
        self._rows = rows
        self._tenants = tenants
        self._money = money
        self._trail = trail
        self._clock = clock

    async def account_today(self) -> Standing:
        """Return what is held and spent of the account's budget of today."""
        return await self._money.standing(keys.money_of_account(budgets.day(self._clock())))

    async def of_month(self, month: str | None, *, first: int, limit: int) -> TenantList:
        """Return tenants with usage in a month, the highest spending first; ``first``: entries before it.

        Raises Invalid: the month is none.
        """
        month = checked_period(month or budgets.month(self._clock()), months_only=True)
        found = await self._rows.tenants(month, first=first, count=limit + 1)
        shown = found[:limit]
        names = await tenant_names(self._tenants, shown)
        money = await self._money.standings_of([keys.money_of_tenant(name, month) for name in shown])
        rows = [TenantMonth(tenant=name, money=each) for name, each in zip(names, money, strict=True)]
        return TenantList(month=month, rows=rows, after=first + limit if len(found) > limit else None)

    async def end_users(
        self, actor: Actor, tenant_id: str, period: str | None, *, first: int, limit: int
    ) -> EndUserList:
        """Return end users of a tenant by what they have spent in a month or on a day; ``first``: entries before it.

        Only actors who may read names receive them, and such a read is recorded.

        Raises:
            Invalid: the period is neither a month nor a day.
            NotFound: there is no such tenant.

        """
        period = checked_period(period or budgets.month(self._clock()))
        if not actor.may_read_names:
            return await self._end_users(tenant_id, period, first=first, limit=limit, with_names=False)
        async with self._trail.act(actor, "read_account_usage", target=tenant_id, tenant_id=tenant_id):
            return await self._end_users(tenant_id, period, first=first, limit=limit, with_names=True)

    async def _end_users(self, tenant_id: str, period: str, *, first: int, limit: int, with_names: bool) -> EndUserList:
        if not ids.is_id(ids.TENANT, tenant_id):
            raise NotFound("There is no such tenant.")
        (tenant,) = await tenant_names(self._tenants, [tenant_id])
        found = await self._usage.page(tenant_id, period, first=first, count=limit + 1, with_names=with_names)
        if tenant.name is None and not found:
            raise NotFound("There is no such tenant.")
        after = first + limit if len(found) > limit else None
        return EndUserList(period=period, tenant=tenant, rows=found[:limit], after=after)
