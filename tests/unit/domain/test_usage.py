"""Periods of a usage report, and the names of report jobs."""

import calendar
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.usage import dates, periods, report_job, tenant_of_report_job


def d(text: str) -> date:
    return date.fromisoformat(text)


@pytest.mark.parametrize(
    ("first", "last", "today", "expected"),
    [
        ("2026-03-01", "2026-03-02", "2026-03-02", ["2026-03"]),  # this month until today
        ("2026-03-01", "2026-03-01", "2026-03-02", ["2026-03-01"]),
        ("2026-02-01", "2026-02-28", "2026-03-02", ["2026-02"]),
        ("2026-02-28", "2026-03-02", "2026-03-02", ["2026-02-28", "2026-03"]),
        ("2026-01-31", "2026-03-01", "2026-03-02", ["2026-01-31", "2026-02", "2026-03-01"]),
        ("2026-03-02", "2026-03-02", "2026-03-02", ["2026-03-02"]),
        ("2026-03-01", "2026-03-01", "2026-03-01", ["2026-03"]),
        ("9999-12-01", "9999-12-31", "2026-03-02", ["9999-12"]),
        ("0001-01-01", "0001-01-01", "2026-03-02", ["0001-01-01"]),
    ],
)
def test_periods_are_whole_months_and_days(first: str, last: str, today: str, expected: list[str]) -> None:
    assert periods(d(first), d(last), d(today)) == expected


@given(st.dates(date(2025, 1, 1), date(2026, 12, 31)), st.integers(0, 200), st.integers(-40, 40))
def test_periods_cover_each_day_once(first: date, length: int, distance: int) -> None:
    """Days after today count as covered: they have no generations."""
    last = first + timedelta(days=length)
    today = last + timedelta(days=distance)
    covered = []
    for period in periods(first, last, today):
        if len(period) == len("2026-01"):
            start = d(f"{period}-01")
            covered += dates(start, start.replace(day=calendar.monthrange(start.year, start.month)[1]))
        else:
            covered.append(period)
    assert [day for day in covered if day <= last.isoformat()] == dates(first, last)
    assert all(day > today.isoformat() for day in covered if day > last.isoformat())


def test_report_job_names_its_tenant() -> None:
    assert report_job("ten_1") == "usage_report:ten_1"
    assert tenant_of_report_job("usage_report:ten_1") == "ten_1"
    assert tenant_of_report_job("usage_report:ten_1:x") == "ten_1:x"
    assert [tenant_of_report_job(name) for name in ("audit", "erasure:ten_1:eu_1", "usage_report:", "gen_1")] == [
        None
    ] * 4
