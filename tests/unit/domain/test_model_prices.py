"""Prices of models whose unit, factors or published price differ from Seedance 2.0."""

import itertools
import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from service.domain.models.loader import packaged
from service.domain.models.model import MediaLimits
from service.domain.pricing import PIXELS, Parts, Prices, Rates, Settlement, expected_units, thousands_of_tokens

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
        assert (rates.input_videos, rates.video_input_factor) == (model.input_videos, model.price.video_input_factor)


def test_rates_of_a_model_have_its_own_sizes() -> None:
    model = packaged()[MILLIONS]
    price = model.price.model_copy(update={"pixels": {"720p": 100}})

    assert Rates.of(model.model_copy(update={"price": price})).pixels == {"720p": 100}


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


#: Takes up to 3 input videos of 2 to 15 seconds, of at most 30 seconds together.
WITH_VIDEOS = replace(
    PER_SECOND,
    longest=15,
    video_input_factor=Decimal("0.6"),
    input_videos=MediaLimits(count=3, seconds_each=(Decimal(2), Decimal(15)), seconds_total=(Decimal(1), Decimal(30))),
)
FORMULA = replace(WITH_VIDEOS, per_second={})


def units(seconds: int) -> Decimal:
    """Return the most units of a video of WITH_VIDEOS."""
    return Decimal(1112 * 834 * (24 * seconds + 1)) / 1024 / 1000


@pytest.mark.parametrize(("audio", "factor"), [(True, "0.6"), (False, "0.3")])
def test_input_seconds_are_billed_as_those_of_the_video(audio: bool, factor: str) -> None:
    exact = Fraction(1112 * 834 * (24 * 25 + 2), 2 * 1024) * 14 * Fraction(factor)  # 12.5 seconds
    published = 12.5 * 400_000 * float(factor)

    parts = WITH_VIDEOS.parts("720p", "5", audio=audio, input_seconds=Decimal("7.5"))

    assert parts == Parts(5, math.ceil(exact), published, Decimal("7.5"), Decimal("0.014"), Decimal(factor))  # type: ignore[arg-type]
    assert WITH_VIDEOS.estimate("720p", "5", audio=audio, input_seconds=Decimal("7.5")) == published
    assert FORMULA.estimate("720p", "5", audio=audio, input_seconds=Decimal("7.5")) == math.ceil(exact)
    settled = WITH_VIDEOS.settle("720p", Decimal(100), 2_000_000, audio=audio, video_input=True)
    assert settled == Settlement(int(1_400_000 * Decimal(factor)))
    assert WITH_VIDEOS.settle("720p", Decimal(100), 2_000_000) == Settlement(1_400_000), "no video unless said"


@pytest.mark.parametrize(
    ("rates", "measured", "priced"),
    [
        (WITH_VIDEOS, [], None),
        (WITH_VIDEOS, ["7.5", "2"], "9.5"),
        (WITH_VIDEOS, [None], "30"),
        (WITH_VIDEOS, [None, "2"], "30"),
        (WITH_VIDEOS, [None, "31"], "31"),
        (PER_SECOND, [None], "0"),
        (replace(PER_SECOND, input_videos=MediaLimits()), [None, "1"], "1"),
    ],
    ids=str,
)
def test_input_seconds_unknown_are_the_longest(rates: Rates, measured: list[str | None], priced: str | None) -> None:
    found = rates.input_seconds([None if seconds is None else Decimal(seconds) for seconds in measured])
    assert found == (None if priced is None else Decimal(priced))


@pytest.mark.parametrize(
    ("rates", "duration", "seconds", "least", "most"),
    [
        (FORMULA, "5", None, 5, 5),
        (FORMULA, "5", 10, 15, 15),
        (FORMULA, "auto", 10, 14, 25),
        (FORMULA, "5", 30, 7, 35),  # of unknown length: at least 2 seconds
        (replace(FORMULA, input_videos=None), "5", 10, 5, 15),
    ],
)
def test_expected_units_include_input_seconds(
    rates: Rates, duration: str, seconds: int | None, least: int, most: int
) -> None:
    given = None if seconds is None else Decimal(seconds)
    expected = (units(least) * Decimal("0.92"), units(most) * Decimal("1.02"))
    assert rates.expected_units("720p", duration, input_seconds=given) == expected


@pytest.mark.parametrize(
    ("duration", "billed", "seconds", "longest"),
    [
        ("5", units(9), None, 5),
        ("auto", None, None, 15),
        ("auto", units(7), None, 7),
        ("auto", units(13), None, 14),  # or 14 seconds of a smaller picture
        ("auto", units(4) * Decimal("0.92"), None, 4),
        ("auto", units(4) * Decimal("1.02"), None, 4),
        ("auto", units(4) * Decimal("0.91"), None, 15),
        ("auto", units(15) * Decimal("1.03"), None, 15),
        ("auto", units(3), None, 15),  # shorter than the shortest video
        ("auto", units(17), 10, 8),
    ],
)
def test_longest_billed_is_the_most_that_the_units_allow(
    duration: str, billed: Decimal | None, seconds: int | None, longest: int
) -> None:
    given = None if seconds is None else Decimal(seconds)
    assert FORMULA.longest_billed("720p", duration, billed, input_seconds=given) == longest


def test_rescaled_cost_has_the_ratio_of_the_estimates() -> None:
    rates = Rates({"480p": Decimal("0.014"), "1080p": Decimal("0.014")})
    ratio = Fraction(rates.estimate("1080p", "5"), rates.estimate("480p", "5"))

    assert rates.rescaled(1_000_001, "480p", "5", to="1080p") == round(1_000_001 * ratio)
    assert rates.rescaled(1_000_001, "480p", "5", to="480p") == 1_000_001
    assert rates.rescaled(1_000_001, "480p", "5", to="4k") is None


def test_most_per_second_is_of_the_shortest_video() -> None:
    assert FORMULA.most_per_second("720p") == math.ceil(Fraction(math.ceil(tokens(4) * 14), 4))
    assert WITH_VIDEOS.most_per_second("720p") == 400_000


def test_prices_of_an_unknown_model_are_those_of_the_default() -> None:
    default, other = packaged()[MILLIONS], packaged()["bytedance/seedance-2.0/image-to-video"]
    prices = Prices([default, other], default)

    assert prices.default == MILLIONS
    assert (prices.of(other.id), prices.known(other.id)) == (Rates.of(other), Rates.of(other))
    assert (prices.of("a/b"), prices.known("a/b")) == (Rates.of(default), None)
    for model, audio in itertools.product((default, other), (True, False)):
        expected = Rates.of(model).parts("720p", "5", audio=audio, input_seconds=Decimal(2))
        assert prices.parts(model.id, "720p", "5", audio, Decimal(2)) == expected
    assert prices.parts.cache_info().maxsize == 1024
