"""Prices of models whose unit, factors or published price differ from Seedance 2.0."""

import math
from decimal import Decimal
from fractions import Fraction

import pytest

from service.domain.models.loader import packaged
from service.domain.pricing import PIXELS, Parts, Rates, Settlement, expected_units, thousands_of_tokens

#: Half of the price without audio; a unit is a million tokens.
MILLIONS = "fal-ai/bytedance/seedance/v1.5/pro/image-to-video"
PER_SECOND = Rates(
    {"720p": Decimal("0.014")}, {"720p": Decimal("0.4")}, silent_factor=Decimal("0.5"), shortest=4, longest=12
)


def tokens(seconds: int) -> Fraction:
    return Fraction(1112 * 834 * (24 * seconds + 1), 1024)


@pytest.mark.parametrize(("audio", "rate"), [(True, "2.4"), (False, "1.2")])
def test_rates_of_a_model_with_units_of_a_million(audio: bool, rate: str) -> None:
    rates = Rates.of(packaged()[MILLIONS])
    micro = math.ceil(tokens(5) * Fraction(rate))

    assert rates.estimate("720p", "5", audio=audio) == micro
    factor = Decimal(1) if audio else Decimal("0.5")
    assert rates.parts("720p", "5", audio=audio) == Parts(5, micro, None, None, Decimal("2.4"), factor)
    assert rates.settle("720p", Decimal("0.1"), micro, audio=audio) == Settlement(int(Decimal(rate) * 100_000))
    assert rates.settle("720p", Decimal(1), micro, audio=audio) == Settlement(micro, "above_hold")
    assert [float(units) for units in rates.expected_units("720p", "5")] == pytest.approx(
        [float(tokens(5)) / 1_000_000 * share for share in (0.92, 1.02)]
    )


def test_rates_of_a_model_have_its_durations_and_sizes() -> None:
    model = packaged()[MILLIONS]
    rates = Rates.of(model)

    assert (rates.shortest, rates.longest, rates.silent_factor, rates.unit_tokens) == (4, 12, Decimal("0.5"), 1_000_000)
    assert (rates.pixels, rates.per_second) == (model.price.pixels, model.price.per_second)
    assert rates.per_thousand_tokens == dict.fromkeys(("480p", "720p", "1080p"), Decimal("0.0024"))
    assert rates.estimate("480p", "auto") == rates.estimate("480p", "12")


def test_rates_of_every_model_have_its_price() -> None:
    for model in packaged().values():
        rates = Rates.of(model)
        assert (rates.per_second, rates.pixels) == (model.price.per_second, model.price.pixels)
        assert (rates.shortest, rates.longest) == (model.shortest_seconds, model.longest_seconds)


def test_published_price_is_rounded_up() -> None:
    rates = Rates({"720p": Decimal("0.000001")}, {"720p": Decimal("0.00000021")})
    assert rates.parts("720p", "5").published == 2, "1.05 micro-USD"


@pytest.mark.parametrize(("audio", "published"), [(True, 2_000_000), (False, 1_000_000)])
def test_published_price_is_held_where_it_is_higher(audio: bool, published: int) -> None:
    formula = math.ceil(tokens(5) * 14 * (1 if audio else Fraction(1, 2)))

    factor = Decimal(1) if audio else Decimal("0.5")
    assert PER_SECOND.parts("720p", "5", audio=audio) == Parts(5, formula, published, None, Decimal("0.014"), factor)
    assert PER_SECOND.estimate("720p", "5", audio=audio) == published
    assert Parts(5, 3, 2).cost == Parts(5, 2, 3).cost == Parts(5, 3, None).cost == 3


def test_price_is_with_audio_unless_said() -> None:
    assert PER_SECOND.estimate("720p", "5") == 2_000_000
    assert PER_SECOND.parts("720p", "5") == PER_SECOND.parts("720p", "5", audio=True)
    assert PER_SECOND.settle("720p", Decimal(100), 2_000_000) == Settlement(1_400_000)
    assert PER_SECOND.settle("720p", Decimal(100), 2_000_000, audio=False) == Settlement(700_000)


def test_expected_units_include_the_published_price() -> None:
    """0.4 US dollars a second are 28.57 units of 0.014 US dollars."""
    least, most = PER_SECOND.expected_units("720p", "auto")

    assert float(least) == pytest.approx(float(tokens(4)) / 1000 * 0.92)
    assert float(most) == pytest.approx(0.4 * 12 / 0.014 * 1.02)
    cheap = Rates({"720p": Decimal("0.014")}, {"720p": Decimal("0.001")})
    assert cheap.expected_units("720p", "5") == Rates({"720p": Decimal("0.014")}).expected_units("720p", "5")


@pytest.mark.parametrize(("resolution", "pixels"), PIXELS.items())
def test_units_of_seedance_2_depend_on_no_rate(resolution: str, pixels: int) -> None:
    def units(seconds: int) -> Decimal:
        return Decimal(pixels * (24 * seconds + 1)) / 1024 / 1000

    assert thousands_of_tokens(resolution, "7") == units(7)
    assert thousands_of_tokens(resolution, "auto") == units(15)
    assert expected_units(resolution, "7") == (units(7) * Decimal("0.92"), units(7) * Decimal("1.02"))
    assert expected_units(resolution, "auto") == (units(4) * Decimal("0.92"), units(15) * Decimal("1.02"))
