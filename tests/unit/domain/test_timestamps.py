"""Times in queries and bodies are texts as RFC 3339 writes them: a number can be seconds, or milliseconds."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from service.domain.faults import sentence
from service.domain.timestamps import Day, Moment, UtcMoment, in_range
from service.errors import FieldError, Invalid

NUMBERS = [0, 0.5, -1, 1_700_000_000, "0", "0.5", "-1", "1700000000", "1e9", "20260131", "2026", ""]


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
@pytest.mark.parametrize(("kind", "text"), [(Moment, "must be a time with"), (Day, "must be a day")])
def test_number_is_no_time(kind: Any, text: str, value: float | str) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(kind).validate_json(json.dumps(value))

    assert sentence(refused.value.errors()[0]).startswith(text)


def test_time_and_day_of_a_program_are_accepted() -> None:
    moment = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    assert TypeAdapter(Moment).validate_python(moment) == moment
    assert TypeAdapter(Day).validate_python(moment.date()) == moment.date()


def test_time_in_another_zone_is_the_same_in_utc() -> None:
    found = TypeAdapter(UtcMoment).validate_python("2026-01-31T09:30:00+01:00")
    assert found.isoformat() == "2026-01-31T08:30:00+00:00"
    assert found.tzinfo is UTC, "not the zone of this machine"
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(UtcMoment).validate_python("0001-01-01T00:00:00+01:00")
    assert [(fault["type"], fault["msg"]) for fault in refused.value.errors()] == [
        ("datetime_range", "is beyond the calendar")
    ]


def test_time_and_day_of_rfc_3339_are_accepted() -> None:
    assert TypeAdapter(Moment).validate_python("2026-01-31T09:30:00+01:00").isoformat() == "2026-01-31T09:30:00+01:00"
    assert TypeAdapter(Day).validate_python("2026-01-31").isoformat() == "2026-01-31"


@pytest.mark.parametrize("given", [datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 58, tzinfo=UTC)])
def test_time_in_range_is_returned_in_utc(given: datetime) -> None:
    assert in_range(given, "/since") == given
    there = in_range(datetime(2026, 1, 31, 9, 30, tzinfo=timezone(timedelta(hours=1))), "/since")
    assert there == datetime(2026, 1, 31, 8, 30, tzinfo=UTC)
    assert there is not None
    assert there.tzinfo is UTC, "not the zone of this machine"
    assert in_range(None, "/since") is None


@pytest.mark.parametrize(
    "given",
    [datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)],
    ids=["before 1970", "after 9999"],
)
def test_time_out_of_range_is_refused(given: datetime) -> None:
    with pytest.raises(Invalid) as refused:
        in_range(given, "/since")
    assert refused.value.errors == (FieldError("/since", "must lie in the years 1970 to 9999", "datetime_range"),)
