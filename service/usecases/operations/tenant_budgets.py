"""Monthly budgets of tenants: what is held and spent of each."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.clock import Clock
from service.domain import budgets
from service.domain.budgets import Standing
from service.domain.tenant import Tenant
from service.store import keys
from service.store.money.budget_shares import BudgetShareStore
from service.store.money.money import MoneyStore
from service.store.tenants.tenants import TenantStore


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """A tenant with its monthly budget and what is held and spent of it."""

    tenant: Tenant
    standing: Standing
    limit: int

    @property
    def share(self) -> float:
        return (self.standing.held + self.standing.spent) / max(1, self.limit)


class TenantBudgets:
    """Reads for operators."""

    def __init__(self, tenants: TenantStore, money: MoneyStore, shares: BudgetShareStore, *, clock: Clock) -> None:
        self._tenants = tenants
        self._money = money
        self._shares = shares
        self._clock = clock

    async def of_month(self, tenants: Sequence[Tenant]) -> list[Standing]:
        """Return what is held and spent of each tenant's budget of this month."""
        month = budgets.month(self._clock())
        return await self._money.standings_of([keys.money_of_tenant(tenant.id, month) for tenant in tenants])

    async def near(self, most: int, *, least_share: float = 0.0, first: int = 0) -> list[BudgetUse]:
        """Return the tenants that have used most of their monthly budget, the highest share first.

        The choice is at most two minutes old, the figures are of now. ``first``: entries before it.
        """
        names = await self._shares.highest(most, least_share=least_share, first=first)
        found = list((await self._tenants.load_all(names)).values())
        standings = await self.of_month(found)
        uses = [
            BudgetUse(tenant, standing, tenant.limits.monthly_budget)
            for tenant, standing in zip(found, standings, strict=True)
            if tenant.limits.monthly_budget is not None
        ]
        return sorted(uses, key=lambda use: -use.share)
