"""Usage of a tenant: generations and spent money by day, the lists of end users by period, and usage reports."""

import calendar
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, Literal

from service.domain.figures import NOTHING, Booked, Figures

EndUserKind = Literal["named", "none", "erased", "unnamed"]
"""``none``: generations without an end user. ``erased``: its name is deleted. ``unnamed``: only refused creates."""
_REPORT: Final = "usage_report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Day(Booked):
    """One day (UTC) of a tenant or of all tenants, by the creation of its generations. Money in micro-USD."""

    date: str
    draft_direct: int = 0
    """What the videos of the day's drafts would have cost at 1080p at once."""
    draft_spent: int = 0
    """The part of ``spent`` for drafts and completions."""


@dataclass(frozen=True, slots=True)
class EndUserSpending:
    pseudonym: str
    end_user_id: str | None
    """None: the tenant itself, erased, or never named in an accepted create."""
    spent: int


@dataclass(frozen=True, slots=True)
class EndUserUsage:
    """Figures of one end user in a period. ``refusals``: by error code, of the end users that a day's bound has."""

    spending: EndUserSpending
    kind: EndUserKind
    figures: Figures = NOTHING
    refusals: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UsageReport:
    """A job of the workers: what each end user has spent from ``start`` to ``end``, both included."""

    id: str
    tenant_id: str
    state: Literal["running", "done"]
    start: date
    end: date
    days_done: int
    offset: int
    """Entries of the current day that are added already."""
    started_at: datetime
    finished_at: datetime | None
    end_users: int
    """End users in the list so far."""

    @property
    def days(self) -> int:
        return (self.end - self.start).days + 1

    @property
    def next_day(self) -> str:
        return (self.start + timedelta(days=self.days_done)).isoformat()


def report_job(tenant_id: str) -> str:
    """Return the name of a tenant's report job in the due set of the sweep."""
    return f"{_REPORT}:{tenant_id}"


def tenant_of_report_job(name: str) -> str | None:
    """Return the tenant's id of a report job; None: the name is not one of a report job."""
    head, _, tenant_id = name.partition(":")
    return tenant_id if head == _REPORT and tenant_id else None


def dates(first: date, last: date) -> list[str]:
    """Return every day from ``first`` to ``last``, both included."""
    return [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]


def periods(first: date, last: date, today: date) -> list[str]:
    """Return the periods with a list of end users that together are ``first`` to ``last``: months and days.

    A month is whole if the range has all of its days, or all until ``today``: later days have no generations.
    """
    return list(_periods(first, last, today))


def _periods(first: date, last: date, today: date) -> Iterator[str]:
    start = first
    while True:
        month_end = start.replace(day=calendar.monthrange(start.year, start.month)[1])
        if start.day == 1 and (month_end <= last or start <= today <= last):
            yield start.isoformat()[: len("2026-01")]
        else:
            yield from dates(start, min(month_end, last))
        if month_end >= last:
            return
        start = month_end + timedelta(days=1)
