"""Ids sort by time, and nothing but an id is one."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain import ids
from tests.support.factories import NOW

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
MILLISECOND = timedelta(milliseconds=1)


@given(MOMENTS, MOMENTS)
def test_ids_sort_as_their_milliseconds_do(one: datetime, other: datetime) -> None:
    earlier, later = sorted((one, other))

    if ids.milliseconds(earlier) < ids.milliseconds(later):
        assert ids.new("gen", earlier) < ids.new("gen", later)


@given(MOMENTS)
def test_an_id_lies_between_its_milliseconds_bounds(moment: datetime) -> None:
    made = ids.new("gen", moment)

    assert ids.lowest("gen", moment) <= made
    if moment < datetime(9999, 12, 30, tzinfo=UTC):
        assert made < ids.lowest("gen", moment + MILLISECOND)


@given(MOMENTS)
def test_a_new_id_is_one(moment: datetime) -> None:
    made = ids.new(ids.GENERATION, moment)

    assert ids.is_id(ids.GENERATION, made)
    assert not ids.is_id(ids.DELIVERY, made)
    assert not ids.is_id(ids.TENANT, made)


@given(st.text(max_size=40))
def test_no_other_text_is_an_id_by_accident(text: str) -> None:
    assert not ids.is_id(ids.GENERATION, text)


GOOD = "gen_" + "0123456789abcdefghjkmnpqrs"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gen",
        "gen_",
        GOOD + "0",
        GOOD[:-1],
        GOOD.upper(),
        GOOD.replace("a", "i"),
        GOOD.replace("a", "l"),
        GOOD.replace("a", "o"),
        GOOD.replace("a", "u"),
        GOOD.replace("a", "-"),
        GOOD.replace("a", "/"),
        GOOD.replace("a", "."),
        GOOD.replace("a", "\x00"),
        GOOD.replace("a", "а"),
        GOOD[:-1] + "\n",
        " " + GOOD[:-1],
        "gen__" + GOOD[5:],
        "msg" + GOOD[3:],
        "../" + GOOD,
        "*" * len(GOOD),
    ],
    ids=repr,
)
def test_near_misses_are_no_ids(text: str) -> None:
    assert ids.is_id("gen", GOOD)
    assert not ids.is_id("gen", text)


def test_ids_of_one_moment_differ() -> None:
    assert len({ids.new("gen", NOW) for _ in range(1000)}) == 1000


@given(st.integers(0, 253_402_300_799_999))
def test_milliseconds_survive_the_way_to_a_moment_and_back(value: int) -> None:
    moment = ids.from_milliseconds(value)

    assert moment.tzinfo is UTC
    assert ids.milliseconds(moment) == value


@given(MOMENTS)
def test_milliseconds_are_cut_not_rounded(moment: datetime) -> None:
    exact = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // MILLISECOND

    assert ids.milliseconds(moment) == exact
