"""Matches of billing events with unconfirmed generations: only certain ones."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.billing import SKEW, Adopted, BillingEvent, Suspect, could_be, matches, suspect
from service.domain.generation import Generation
from service.domain.models.loader import packaged
from service.domain.models.registry import seed
from service.domain.pricing import Rates, thousands_of_tokens
from tests.support import factories
from tests.support.factories import NOW

MINUTE = timedelta(minutes=1)
FIVE_SECONDS = {"resolution": "480p", "duration": "5"}
RATES = Rates.of(seed())
UNITS = Decimal("50.22")  # 864 x 496 at 24 frames a second


def one(name: str = "gen_1", at: datetime = NOW, **arguments: str) -> Suspect:
    return suspect(generation(name, {**FIVE_SECONDS, **arguments}), at, RATES)


def generation(name: str, arguments: dict[str, Any], **changes: Any) -> Generation:
    return replace(factories.generation(id=name), input=arguments, **changes)


def billed(
    request_id: str | None = "request-1", at: datetime | None = NOW + MINUTE, units: Decimal | None = UNITS
) -> BillingEvent:
    return BillingEvent(request_id, at, units)


def test_match_of_one_job_and_one_generation_is_adopted() -> None:
    assert matches([one()], [], [billed()]) == {"gen_1": Adopted("request-1")}


def test_match_without_billing_events_is_absent() -> None:
    assert matches([one()], [], []) == {"gen_1": "absent"}


@pytest.mark.parametrize(
    ("event", "found"),
    [
        (billed(at=NOW), Adopted("request-1")),
        (billed(at=NOW - timedelta(seconds=1)), "ambiguous"),  # clocks may differ: possible, but not certain
        (billed(at=NOW - SKEW), "ambiguous"),
        (billed(at=NOW - SKEW - timedelta(seconds=1)), "absent"),
        (billed(at=NOW + timedelta(days=1)), Adopted("request-1")),
        (billed(at=None), "ambiguous"),
        (billed(units=None), Adopted("request-1")),
        (billed(units=Decimal(0)), Adopted("request-1")),  # for example refused for its content
        (billed(units=Decimal(1)), "absent"),
        (billed(units=thousands_of_tokens("480p", "5")), Adopted("request-1")),
        (billed(units=thousands_of_tokens("480p", "5") * Decimal("1.03")), "absent"),
        (billed(units=thousands_of_tokens("480p", "6")), "absent"),
        (billed(units=thousands_of_tokens("480p", "4")), "absent"),
        (billed(units=thousands_of_tokens("720p", "5")), "absent"),
        (billed(request_id=None), "ambiguous"),
    ],
    ids=str,
)
def test_could_be_compares_time_and_units(event: BillingEvent, found: object) -> None:
    assert matches([one()], [], [event]) == {"gen_1": found}


@pytest.mark.parametrize(
    ("least", "most", "units", "possible"),
    [
        (2, 3, "1.999", False),
        (2, 3, "2", True),
        (2, 3, "3", True),
        (2, 3, "3.001", False),
        (None, 3, "3.001", True),  # a bound that is not known rules nothing out
        (2, None, "1.999", True),
        (None, None, "9", True),
    ],
)
def test_could_be_includes_both_bounds(least: int | None, most: int | None, units: str, possible: bool) -> None:
    least_units, most_units = (None if bound is None else Decimal(bound) for bound in (least, most))

    assert could_be(Suspect("gen_1", NOW, least_units, most_units), billed(units=Decimal(units))) is possible


@pytest.mark.parametrize("arguments", [{"duration": "auto"}, {"resolution": "480p", "duration": "auto"}, {}])
def test_suspect_with_duration_auto_fits_any_units(arguments: dict[str, str]) -> None:
    open_ended = suspect(generation("gen_1", arguments), NOW, RATES)

    assert matches([open_ended], [], [billed(units=Decimal(5000))]) == {"gen_1": Adopted("request-1")}


@pytest.mark.parametrize(
    "not_certain",
    [
        {"rates": None},
        {"input_seconds": Decimal(5)},
        {"arguments": {"draft": True}},
        {"completes": "gen_0"},
        {"arguments": {"resolution": "8k"}},
        {"arguments": {"resolution": "720p"}, "rates": Rates({"480p": Decimal("0.014")})},
        {"rates": Rates.of(packaged()["fal-ai/bytedance/seedance/v1.5/pro/text-to-video"])},
    ],
    ids=str,
)
def test_suspect_without_certain_bounds_fits_any_units(not_certain: dict[str, Any]) -> None:
    rates = not_certain.get("rates", RATES)
    g = generation(
        "gen_1",
        {**FIVE_SECONDS, **not_certain.get("arguments", {})},
        input_seconds=not_certain.get("input_seconds"),
        completes=not_certain.get("completes"),
    )
    one = suspect(g, NOW, rates)
    assert one == Suspect(g.id, NOW)
    assert could_be(one, billed(units=Decimal(5000)))


#: Width and height of the smallest and the largest aspect ratio of each resolution that publishes its sizes.
SIZES = [("480p", 640, 640), ("480p", 864, 496), ("480p", 992, 432), ("720p", 960, 960), ("720p", 1112, 834)]


@pytest.mark.parametrize(("resolution", "width", "height"), SIZES)
@pytest.mark.parametrize("duration", range(4, 16))
def test_suspect_units_fit_every_aspect_ratio(resolution: str, width: int, height: int, duration: int) -> None:
    mine = one(resolution=resolution, duration=str(duration))
    for frames in (24 * duration, 24 * duration + 1):
        assert could_be(mine, billed(units=Decimal(width * height * frames) / 1024 / 1000))


def test_match_of_one_job_and_two_generations_is_ambiguous() -> None:
    assert matches([one("gen_1"), one("gen_2")], [], [billed()]) == {"gen_1": "ambiguous", "gen_2": "ambiguous"}


def test_match_of_two_jobs_and_one_generation_is_ambiguous() -> None:
    assert matches([one()], [], [billed("a"), billed("b")]) == {"gen_1": "ambiguous"}


def test_match_of_two_generations_by_units_is_adopted() -> None:
    long = one("gen_2", duration="15")
    events = [billed("short"), billed("long", units=Decimal("150.66"))]

    assert matches([one(), long], [], events) == {"gen_1": Adopted("short"), "gen_2": Adopted("long")}


def test_match_of_two_generations_by_time_is_adopted() -> None:
    """The second was submitted after the first event, but the first generation may have caused the last event."""
    later = one("gen_2", at=NOW + 10 * MINUTE)

    assert matches([one(), later], [], [billed()]) == {"gen_1": Adopted("request-1"), "gen_2": "absent"}
    events = [billed("a"), billed("b", at=NOW + 11 * MINUTE)]
    assert matches([one(), later], [], events) == {"gen_1": "ambiguous", "gen_2": "ambiguous"}


def test_match_with_a_rival_is_ambiguous() -> None:
    assert matches([one()], [one("gen_2")], [billed()]) == {"gen_1": "ambiguous"}


def test_match_after_the_end_of_a_rival_is_adopted() -> None:
    rival = replace(one("gen_2"), until=NOW + MINUTE)

    assert matches([one()], [rival], [billed(at=NOW + MINUTE)]) == {"gen_1": "ambiguous"}
    assert matches([one()], [rival], [billed(at=NOW + 2 * MINUTE)]) == {"gen_1": Adopted("request-1")}


def test_request_billed_twice_has_unknown_units() -> None:
    events = [billed(units=Decimal(1)), billed(at=NOW + 2 * MINUTE, units=Decimal(2))]

    assert matches([one()], [], events) == {"gen_1": Adopted("request-1")}
    assert matches([one()], [], [billed(), billed(at=None)]) == {"gen_1": "ambiguous"}


moments = st.integers(-5, 5).map(lambda minutes: NOW + minutes * MINUTE)
durations = st.sampled_from(["auto", "4", "5", "14", "15"])
units = st.sampled_from([None, *(thousands_of_tokens("480p", duration) for duration in ("4", "5", "14", "15"))])


@st.composite
def unconfirmed_submits(draw: st.DrawFn, prefix: str) -> list[Suspect]:
    return [
        one(f"{prefix}_{number}", draw(moments), duration=draw(durations)) for number in range(draw(st.integers(0, 4)))
    ]


@st.composite
def bills(draw: st.DrawFn) -> list[BillingEvent]:
    """Events of different requests, some without time or units."""
    named = [draw(st.sampled_from([f"request-{number}", None])) for number in range(draw(st.integers(0, 4)))]
    return [BillingEvent(name, draw(st.one_of(st.none(), moments)), draw(units)) for name in named]


@settings(max_examples=500)
@given(unconfirmed_submits("gen"), unconfirmed_submits("rival"), bills())
def test_adopted_match_is_the_only_possible_one(
    unconfirmed: list[Suspect], rivals: list[Suspect], events: list[BillingEvent]
) -> None:
    found = matches(unconfirmed, rivals, events)

    assert list(found) == [each.id for each in unconfirmed]
    for each in unconfirmed:
        own = [event for event in events if could_be(each, event)]
        if isinstance(match := found[each.id], Adopted):
            (event,) = own
            assert event.request_id == match.request_id
            assert event.at is not None
            assert event.at >= each.submitted_at
            assert [other for other in (*unconfirmed, *rivals) if could_be(other, event)] == [each]
        else:
            assert (match == "absent") == (own == [])


@given(unconfirmed_submits("gen"), bills(), st.randoms())
def test_match_ignores_the_order_of_events(
    unconfirmed: list[Suspect], events: list[BillingEvent], chance: Random
) -> None:
    shuffled = chance.sample(events, len(events))

    assert matches(unconfirmed, [], shuffled) == matches(unconfirmed, [], events)
