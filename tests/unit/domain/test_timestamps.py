"""Times in queries and bodies are texts as RFC 3339 writes them: a number can be seconds, or milliseconds."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from service.domain.faults import sentence
from service.domain.timestamps import Day, Moment

NUMBERS = [0, 0.5, -1, 1_700_000_000, "0", "0.5", "-1", "1700000000", "1e9", "20260131", "2026", ""]


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
@pytest.mark.parametrize("kind", [Moment, Day], ids=["time", "day"])
def test_number_is_no_time(kind: Any, value: float | str) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(kind).validate_json(json.dumps(value))

    assert sentence(refused.value.errors()[0]).startswith("must be a ")


def test_time_and_day_of_rfc_3339_are_accepted() -> None:
    assert TypeAdapter(Moment).validate_python("2026-01-31T09:30:00+01:00").isoformat() == "2026-01-31T09:30:00+01:00"
    assert TypeAdapter(Day).validate_python("2026-01-31").isoformat() == "2026-01-31"
