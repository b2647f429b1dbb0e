"""Usage of a tenant: generations and spending by day and by end user."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from service.clock import Clock
from service.domain import budgets
from service.domain.budgets import Standing
from service.domain.usage import Day, EndUserSpending
from service.errors import FieldError, Invalid
from service.store import keys
from service.store.money.money import MoneyStore

MOST_DAYS: Final = 92


@dataclass(frozen=True, slots=True)
class Report:
    days: list[Day]
    end_users: list[EndUserSpending]


class Usage:
    def __init__(self, store: MoneyStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def report(self, tenant_id: str, start: date | None, end: date | None) -> Report:
        """Return every day from ``start`` to ``end``, both included. By default the current month until today.

        Raises:
            Invalid: the range is empty or longer than MOST_DAYS.

        """
        today = self._clock().date()
        last = end or today
        first = start or last.replace(day=1)
        if first > last:
            raise Invalid(FieldError("/query/start", "must not be after end", "date_range"))
        if (last - first).days >= MOST_DAYS:
            raise Invalid(FieldError("/query/end", f"must be at most {MOST_DAYS} days from start", "date_range"))
        dates = [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
        return Report(await self._store.days(tenant_id, dates), await self._store.end_users(tenant_id, dates))

    async def month(self, tenant_id: str) -> Standing:
        """Return what is held and spent of this month's budget, in micro-USD."""
        return await self._store.standing(keys.money_of_tenant(tenant_id, budgets.month(self._clock())))
