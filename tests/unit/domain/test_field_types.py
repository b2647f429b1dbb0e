"""Types of fields that several bodies have: money."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from service.domain.field_types import (
    MoneyOrZero,
    SignedMoney,
)


@pytest.mark.parametrize(
    ("amount", "micro"),
    [
        ("1.5", 1_500_000),
        (0.5, 500_000),
        ("-1.5", -1_500_000),
        (-1.5, -1_500_000),
        (-1, -1_000_000),
        (2, 2_000_000),
        ("0", None),
    ]
    + [(amount, None) for amount in list[object]((0, -0.0, "-0", "--1", "-", True, [], None))],
    ids=str,
)
def test_signed_money_is_micro_usd(amount: object, micro: int | None) -> None:
    assert _accepted(SignedMoney, amount) == micro


@pytest.mark.parametrize(
    ("amount", "micro"),
    [("1.5", 1_500_000), (2, 2_000_000), ("0", 0), ("0000000.000000", 0), (0, 0), (0.0, 0)]
    + [(amount, None) for amount in ("-1", "0.", "0.0000000", "00000000", -1, False, True, None)],
    ids=repr,
)
def test_money_or_zero_is_micro_usd(amount: object, micro: int | None) -> None:
    assert _accepted(MoneyOrZero, amount) == micro


def _accepted(kind: Any, amount: object) -> object:
    try:
        return TypeAdapter(kind).validate_python(amount)
    except ValidationError:
        return None
