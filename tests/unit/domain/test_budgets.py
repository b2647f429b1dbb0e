"""Calendar windows of budgets in UTC, and amounts of money without loss of digits."""

import json
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from service.domain.budgets import Budgets, Scope, Standing, day, month, resets_at
from service.domain.field_types import OptionalMoney
from service.domain.pricing import usd

MONEY: TypeAdapter[int | None] = TypeAdapter(OptionalMoney)
MOST = 10**12  # a million dollars

moments = st.datetimes(
    min_value=datetime(1971, 1, 1),  # noqa: DTZ001  (hypothesis adds the zone)
    max_value=datetime(9998, 1, 1),  # noqa: DTZ001
    timezones=st.timezones(),
)


@pytest.mark.parametrize(
    ("hours", "date", "of_month"),
    [(0, "2026-01-31", "2026-01"), (-5, "2026-02-01", "2026-02"), (5, "2026-01-31", "2026-01")],
)
def test_window_name_is_the_utc_date(hours: int, date: str, of_month: str) -> None:
    moment = datetime(2026, 1, 31, 23, tzinfo=timezone(timedelta(hours=hours)))
    assert (day(moment), month(moment)) == (date, of_month)


@given(moments, st.sampled_from(Scope))
def test_window_ends_at_its_reset(moment: datetime, scope: Scope) -> None:
    window = month if scope is Scope.TENANT_MONTH else day
    reset = resets_at(scope, moment)
    assert moment < reset
    assert window(moment) == window(reset - timedelta(microseconds=1)) != window(reset)
    assert (reset.hour, reset.minute, reset.second, reset.microsecond, reset.tzinfo) == (0, 0, 0, 0, UTC)


@pytest.mark.parametrize(
    ("now", "next_day", "next_month"),
    [
        ("2026-01-31T23:59:59.999999", "2026-02-01", "2026-02-01"),
        ("2026-02-01T00:00:00", "2026-02-02", "2026-03-01"),
        ("2028-02-28T12:00:00", "2028-02-29", "2028-03-01"),
        ("2026-12-31T12:00:00", "2027-01-01", "2027-01-01"),
        ("2026-12-01T00:00:00", "2026-12-02", "2027-01-01"),
    ],
)
def test_window_resets_at_day_month_and_year(now: str, next_day: str, next_month: str) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert resets_at(Scope.END_USER_DAY, moment).date().isoformat() == next_day
    assert resets_at(Scope.ACCOUNT_DAY, moment).date().isoformat() == next_day
    assert resets_at(Scope.TENANT_MONTH, moment).date().isoformat() == next_month


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
def test_windows_ignore_the_zone_of_the_machine(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    moment = datetime(2026, 1, 31, 23, tzinfo=timezone(timedelta(hours=-2)))
    try:
        with monkeypatch.context() as patch:
            patch.setenv("TZ", zone)
            time.tzset()
            found = (day(moment), month(moment), *(resets_at(scope, moment).isoformat() for scope in Scope))
    finally:
        time.tzset()

    next_day = "2026-02-02T00:00:00+00:00"
    assert found == ("2026-02-01", "2026-02", "2026-03-01T00:00:00+00:00", next_day, next_day)


def test_available_is_never_negative() -> None:
    standing = Standing(held=30, spent=50)
    assert [standing.available(limit) for limit in (100, 81, 80, 79, 0)] == [20, 1, 0, 0, 0]


def test_budgets_are_in_the_order_of_their_check() -> None:
    """The create script refers to scopes by number."""
    by_scope = Budgets(account_day=3, end_user_day=2, tenant_month=1).by_scope()
    assert list(by_scope.items()) == list(zip(Scope, (1, 2, 3), strict=True))
    assert list(Scope) == ["tenant_month", "end_user_day", "account_day"]


@given(st.integers(1, MOST))
def test_money_round_trip_keeps_the_amount(micro: int) -> None:
    assert MONEY.validate_json(json.dumps(usd(micro))) == micro
    assert MONEY.validate_json(json.dumps(micro / 1_000_000)) == micro, "as a JSON number"


@pytest.mark.parametrize(
    ("text", "micro"),
    [("null", None), ('"1.50"', 1_500_000), ("0.000001", 1), ("1e6", MOST)],
)
def test_money_accepts_strings_and_numbers(text: str, micro: int | None) -> None:
    assert MONEY.validate_json(text) == micro


@pytest.mark.parametrize(
    "text",
    [
        *(
            '"0"',
            "0",
            "-1",
            '"-0.01"',
            "1000000.000001",
            '"1000001"',
            '"1e400"',
            "1e400",
            '"0.0000001"',
            '"1.9999999"',
            '"1e-6"',
        ),
        *('"NaN"', "NaN", '"Infinity"', '"sNaN"', '""', '" "', '"1,50"', '"1_000"', '"$5"', '"٣"', "true", "[]", "{}"),
    ],
)
def test_money_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        MONEY.validate_json(text)
