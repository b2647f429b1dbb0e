"""Estimates that are never too low, settlements of billed units, and money as text."""

import math
from decimal import Decimal
from fractions import Fraction
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.field_types import Duration, Resolution
from service.domain.pricing import PIXELS, Rates, Settlement, expected_units, usd

PUBLISHED = Rates(
    {"480p": Decimal("0.014"), "720p": Decimal("0.014"), "1080p": Decimal("0.014"), "4k": Decimal("0.008")}
)
RESOLUTIONS: tuple[Resolution, ...] = get_args(Resolution)
DURATIONS: tuple[str, ...] = get_args(Duration)


def published_cost(width: int, height: int, seconds: int, rate: str) -> int:
    """The model page's formula in micro-USD, exactly."""
    tokens = Fraction(width * height * seconds * 24, 1024)
    return math.ceil(tokens / 1000 * Fraction(rate) * 1_000_000)


@pytest.mark.parametrize(
    ("resolution", "duration", "micro"),
    [
        # 1112 * 834 * (24 * 5 + 1) / 1024 / 1000 * 0.014 USD
        ("720p", "5", math.ceil(Fraction(1112 * 834 * 121 * 14, 1024 * 1000) * 1000)),
        ("720p", "15", math.ceil(Fraction(1112 * 834 * 361 * 14, 1024 * 1000) * 1000)),
        ("480p", "4", math.ceil(Fraction(992 * 432 * 97 * 14, 1024 * 1000) * 1000)),
        ("4k", "4", math.ceil(Fraction(4412 * 1892 * 97 * 8, 1024 * 1000) * 1000)),
    ],
)
def test_estimate_is_the_formula_rounded_up(resolution: Resolution, duration: str, micro: int) -> None:
    assert PUBLISHED.estimate(resolution, duration) == micro


def test_estimate_has_known_values() -> None:
    assert usd(PUBLISHED.estimate("720p", "5")) == "1.534209"
    assert usd(PUBLISHED.estimate("480p", "5")) == "0.708939"


@pytest.mark.parametrize("seconds", range(4, 16))
def test_estimate_is_never_below_a_published_price(seconds: int) -> None:
    """1280x720 is $0.3024 a second and 864x496 the 480p of the same shape: the worst case covers both."""
    assert published_cost(1280, 720, 5, "0.014") == 1_512_000
    assert PUBLISHED.estimate("720p", str(seconds)) >= published_cost(1280, 720, seconds, "0.014")
    assert PUBLISHED.estimate("480p", str(seconds)) >= published_cost(864, 496, seconds, "0.014")
    assert PUBLISHED.estimate("1080p", str(seconds)) >= published_cost(1920, 1080, seconds, "0.014")
    assert PUBLISHED.estimate("4k", str(seconds)) >= published_cost(3840, 2160, seconds, "0.008")


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_estimate_grows_with_duration_auto_is_longest(resolution: Resolution) -> None:
    costs = [PUBLISHED.estimate(resolution, duration) for duration in DURATIONS if duration != "auto"]

    assert costs == sorted(set(costs))
    assert PUBLISHED.estimate(resolution, "auto") == costs[-1]


def test_pixels_cover_every_resolution() -> None:
    assert set(PIXELS) == set(RESOLUTIONS)


@given(st.sampled_from(RESOLUTIONS), st.sampled_from(DURATIONS), st.decimals("0.000001", "10", places=6))
def test_estimate_is_the_least_sufficient_micro_usd(resolution: Resolution, duration: str, rate: Decimal) -> None:
    seconds = 15 if duration == "auto" else int(duration)
    exact = Fraction(PIXELS[resolution] * (24 * seconds + 1), 1024) / 1000 * Fraction(rate) * 1_000_000

    estimate = Rates(dict.fromkeys(RESOLUTIONS, rate)).estimate(resolution, duration)

    assert exact <= estimate < exact + 1


HELD = 1_534_209  # 720p, 5 seconds


@pytest.mark.parametrize(
    ("units", "settlement"),
    [
        (Decimal(108), Settlement(1_512_000)),
        (Decimal("108.000"), Settlement(1_512_000)),
        (Decimal(0), Settlement(0)),
        (Decimal("-0"), Settlement(0)),
        (Decimal("0.0000001"), Settlement(0)),
        (Decimal("0.00003572"), Settlement(1)),  # 0.50008 micro-USD
        (Decimal("120.544928"), Settlement(1_687_629)),  # 1.1 times the hold is 1,687,629.9
        (Decimal("120.544929"), Settlement(HELD, "above_hold")),
        (Decimal(50_220), Settlement(HELD, "above_hold")),
        (Decimal("1e999999"), Settlement(HELD, "above_hold")),
        (Decimal("Infinity"), Settlement(HELD, "above_hold")),
        (Decimal("-0.000001"), Settlement(HELD, "negative")),
        (Decimal("-Infinity"), Settlement(HELD, "negative")),
        (Decimal("NaN"), Settlement(HELD, "missing")),
        (Decimal("sNaN"), Settlement(HELD, "missing")),
        (None, Settlement(HELD, "missing")),
    ],
)
def test_settle_uses_units_within_bounds_else_the_hold(units: Decimal | None, settlement: Settlement) -> None:
    assert PUBLISHED.settle("720p", units, HELD) == settlement


@given(
    st.sampled_from(RESOLUTIONS),
    st.none() | st.decimals() | st.decimals("0", "2000"),
    st.integers(0, 10**12),
    st.decimals("0.000001", "10", places=6),
)
def test_settle_any_units_stay_within_1_1_of_the_hold(
    resolution: Resolution, units: Decimal | None, held: int, rate: Decimal
) -> None:
    settlement = Rates(dict.fromkeys(RESOLUTIONS, rate)).settle(resolution, units, held)

    assert 0 <= settlement.cost * 10 <= held * 11
    assert settlement.reason is None or settlement.cost == held


@given(st.sampled_from(RESOLUTIONS), st.sampled_from(DURATIONS))
def test_expected_units_are_inside_the_bounds_of_a_hold(resolution: Resolution, duration: str) -> None:
    """An expected bill is always used."""
    held = PUBLISHED.estimate(resolution, duration)
    for units in expected_units(resolution, duration):
        assert PUBLISHED.settle(resolution, units, held).reason is None


@pytest.mark.parametrize(
    ("units", "settlement"),
    [
        ("0.5", Settlement(1)),  # half a micro-USD is rounded up, also where it is even
        ("2.5", Settlement(3)),
        ("11", Settlement(11)),  # exactly 1.1 times the hold
        ("11.0000001", Settlement(10, "above_hold")),
    ],
)
def test_settle_at_a_rate_of_one_micro_usd(units: str, settlement: Settlement) -> None:
    assert Rates({"720p": Decimal("0.000001")}).settle("720p", Decimal(units), 10) == settlement


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_expected_units_of_auto_cover_every_duration(resolution: Resolution) -> None:
    bounds = [expected_units(resolution, duration) for duration in DURATIONS if duration != "auto"]

    assert expected_units(resolution, "auto") == (min(least for least, _ in bounds), max(most for _, most in bounds))


def test_settle_4k_has_its_own_rate() -> None:
    assert PUBLISHED.settle("4k", Decimal(1000), 8_000_000) == Settlement(8_000_000)


@pytest.mark.parametrize(
    ("micro", "text"),
    [
        (0, "0.000000"),
        (1, "0.000001"),
        (999_999, "0.999999"),
        (1_000_000, "1.000000"),
        (1_512_000, "1.512000"),
        (-1, "-0.000001"),
        (-1_500_000, "-1.500000"),
        (10**18 + 1, "1000000000000.000001"),
    ],
)
def test_usd_has_known_values(micro: int, text: str) -> None:
    assert usd(micro) == text


@given(st.integers(-(10**18), 10**18))
def test_usd_round_trip_keeps_the_amount(micro: int) -> None:
    assert Decimal(usd(micro)) * 1_000_000 == micro
