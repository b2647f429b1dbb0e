"""Bodies of adjustments: one subject, a day, and signed money."""

from typing import Any

import pytest
from pydantic import ValidationError
from pydantic_core import to_json

from service.domain.adjustment import ADJUSTMENT, Adjustment, Correction

DAY = {"tenant_id": "ten_1", "end_user": "eu_" + "0" * 32, "day": "2026-01-31"}
GENERATION = {"generation_id": "gen_1"}


def parse(**fields: Any) -> Adjustment:
    own = {"amount_usd": "-1.50", "expected_usd": "0", "operator": " ann ", "reason": "refund"}
    return ADJUSTMENT.validate_json(to_json({**own, **fields}))


@pytest.mark.parametrize("subject", [DAY, GENERATION])
def test_adjustment_of_one_subject_is_a_correction(subject: dict[str, str]) -> None:
    assert parse(**subject).correction == Correction(-1_500_000, "ann", "refund")


@pytest.mark.parametrize(
    "subject", [{}, {**DAY, **GENERATION}, *({name: DAY[name] for name in DAY if name != left} for left in DAY)]
)
def test_adjustment_of_no_or_two_subjects_is_refused(subject: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="either generation_id, or tenant_id, end_user and day"):
        parse(**subject)


def test_adjustment_day_is_of_the_usual_form() -> None:
    assert parse(**{**DAY, "day": "20260131"}).day == "2026-01-31"


@pytest.mark.parametrize("day", ["", "2026-02-30", "2026-01-31T00:00:00Z", "yesterday"])
def test_adjustment_of_another_form_of_day_is_refused(day: str) -> None:
    with pytest.raises(ValidationError) as refused:
        parse(**{**DAY, "day": day})

    (fault,) = refused.value.errors()
    assert (fault["type"], fault["msg"]) == ("day", 'must be a day like "2026-01-31"')
