"""Budgets: three scopes, each with a calendar window in UTC, a limit, and held and spent money in micro-USD."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum


class Scope(StrEnum):
    """Scopes in the order of their check. The first that is exhausted refuses the create."""

    TENANT_MONTH = "tenant_month"
    END_USER_DAY = "end_user_day"
    ACCOUNT_DAY = "account_day"


@dataclass(frozen=True, slots=True)
class Budgets:
    """Limit of each scope's window in micro-USD; None: no limit."""

    tenant_month: int | None = None
    end_user_day: int | None = None
    account_day: int | None = None
    end_user_day_count: int | None = None
    """Generations of one end user that are accepted per day."""

    def by_scope(self) -> dict[Scope, int | None]:
        return {
            Scope.TENANT_MONTH: self.tenant_month,
            Scope.END_USER_DAY: self.end_user_day,
            Scope.ACCOUNT_DAY: self.account_day,
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """Money held and spent in one window, and the number of its generations."""

    held: int = 0
    spent: int = 0
    count: int = 0

    def available(self, limit: int) -> int:
        return max(0, limit - self.held - self.spent)


def day(moment: datetime) -> str:
    """Return the day in UTC: ``2026-01-31``."""
    return moment.astimezone(UTC).date().isoformat()


def month(moment: datetime) -> str:
    """Return the month in UTC: ``2026-01``."""
    return day(moment)[: len("2026-01")]


def resets_at(scope: Scope, moment: datetime) -> datetime:
    """Return the end of the scope's window that contains this time."""
    midnight = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if scope is not Scope.TENANT_MONTH:
        return midnight + timedelta(days=1)
    return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)


__all__ = ["Budgets", "Scope", "Standing", "day", "month", "resets_at"]
