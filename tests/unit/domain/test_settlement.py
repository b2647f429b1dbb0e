"""The cost of an ended generation has the factors that its input and its input videos give."""

from decimal import Decimal
from typing import Any

import pytest

from service.domain.pricing import Rates, Settlement
from service.domain.settlement import settled
from tests.support import factories

RATES = Rates({"720p": Decimal("0.014")}, silent_factor=Decimal("0.5"), video_input_factor=Decimal("0.6"))


@pytest.mark.parametrize(
    ("given", "input_seconds", "cost"),
    [
        ({}, None, 1_400_000),
        ({"generate_audio": True}, None, 1_400_000),
        ({"generate_audio": False}, None, 700_000),
        ({}, Decimal(2), 840_000),
        ({"generate_audio": False}, Decimal(0), 420_000),
    ],
)
def test_settled_cost_has_the_factors_of_the_input(
    given: dict[str, Any], input_seconds: Decimal | None, cost: int
) -> None:
    g = factories.generation(
        input={"resolution": "720p", **given}, input_seconds=input_seconds, estimated_cost=2_000_000
    )

    assert settled(g, Decimal(100), RATES) == Settlement(cost)
    assert settled(g, None, RATES) == Settlement(2_000_000, "missing")
