"""Ids sort by time, and no other text is an id."""

import functools
import operator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain import ids
from tests.support.factories import NOW

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
MILLISECOND = timedelta(milliseconds=1)


@given(MOMENTS, MOMENTS)
def test_ids_sort_by_milliseconds(one: datetime, other: datetime) -> None:
    earlier, later = sorted((one, other))

    if ids.milliseconds(earlier) < ids.milliseconds(later):
        assert ids.new("gen", earlier) < ids.new("gen", later)


@given(MOMENTS)
def test_id_lies_within_its_bounds(moment: datetime) -> None:
    made = ids.new("gen", moment)

    assert ids.lowest("gen", moment) <= made
    if moment < datetime(9999, 12, 30, tzinfo=UTC):
        assert made < ids.lowest("gen", moment + MILLISECOND)


@given(MOMENTS)
def test_new_id_is_an_id(moment: datetime) -> None:
    made = ids.new(ids.GENERATION, moment)

    assert ids.is_id(ids.GENERATION, made)
    assert not ids.is_id(ids.DELIVERY, made)
    assert not ids.is_id(ids.TENANT, made)


@given(st.text(max_size=40))
def test_other_text_is_no_id(text: str) -> None:
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
def test_text_close_to_an_id_is_no_id(text: str) -> None:
    assert ids.is_id("gen", GOOD)
    assert not ids.is_id("gen", text)


def test_ids_of_one_time_differ() -> None:
    assert len({ids.new("gen", NOW) for _ in range(1000)}) == 1000


def test_id_has_80_random_bits() -> None:
    made = [int.from_bytes(ids.packed(ids.new("gen", NOW))[6:]) for _ in range(500)]
    assert functools.reduce(operator.or_, made) == 2**80 - 1
    assert functools.reduce(operator.and_, made) == 0


def test_id_of_a_text_has_a_fixed_value() -> None:
    """The first 16 bytes of SHA-256 of ``abc``. A change would give stored objects another id."""
    assert ids.packed(ids.of_text("iss", "abc")).hex() == "ba7816bf8f01cfea414140de5dae2223"


@given(st.integers(0, 253_402_300_799_999))
def test_milliseconds_round_trip(value: int) -> None:
    moment = ids.from_milliseconds(value)

    assert moment.tzinfo is UTC
    assert ids.milliseconds(moment) == value


@given(MOMENTS)
def test_milliseconds_are_truncated(moment: datetime) -> None:
    exact = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // MILLISECOND

    assert ids.milliseconds(moment) == exact


@given(st.binary(min_size=16, max_size=16))
def test_id_packed_round_trip(value: bytes) -> None:
    name = ids.unpacked("gen", value)

    assert ids.is_id("gen", name)
    assert ids.packed(name) == value


def test_id_has_a_fixed_form() -> None:
    """48 bits of milliseconds and 80 random bits, with the largest digit first."""
    assert ids.lowest("gen", ids.from_milliseconds(1)) == "gen_00000000040000000000000000"
    assert ids.packed(ids.lowest("gen", ids.from_milliseconds(1))) == bytes(5) + b"\x01" + bytes(10)
    assert ids.unpacked("gen", b"\xff" * 16) == "gen_zzzzzzzzzzzzzzzzzzzzzzzzzw"


@given(MOMENTS)
def test_id_has_its_time_of_creation(moment: datetime) -> None:
    assert ids.created_at(ids.new("gen", moment)) == ids.from_milliseconds(ids.milliseconds(moment))
