"""Rotation of signing keys: every key signs until the end of its overlap."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.signing import MOST_KEYS, SigningKey, in_force, rotated
from service.errors import OverlapPromised
from tests.support.factories import NOW

SPANS = st.integers(min_value=0, max_value=10).map(lambda hours: timedelta(hours=hours))
ROTATIONS = st.lists(st.tuples(SPANS, SPANS.filter(bool)), max_size=30)


@given(ROTATIONS)
def test_rotation_never_shortens_an_overlap(rotations: list[tuple[timedelta, timedelta]]) -> None:
    """Rotate at any times with any overlaps. A refused rotation changes nothing."""
    now, promised = NOW, dict[str, datetime]()
    keys: tuple[SigningKey, ...] = (SigningKey("secret 0"),)
    for number, (pause, overlap) in enumerate(rotations, 1):
        now += pause
        try:
            after = rotated(keys, SigningKey(f"secret {number}"), overlap=overlap, now=now)
        except OverlapPromised:
            assert len(in_force(keys, now)) == MOST_KEYS
            continue
        promised[keys[0].secret] = now + overlap
        keys = after
        assert keys[0].until is None
        assert {key.secret for key in keys[1:]} == {name for name, until in promised.items() if until > now}
        assert all(key.until == promised[key.secret] for key in keys[1:])


def test_rotation_without_overlap_ends_all_keys() -> None:
    keys = (SigningKey("current"), SigningKey("retired", until=NOW + timedelta(days=1)))
    assert rotated(keys, SigningKey("new"), overlap=timedelta(), now=NOW) == (SigningKey("new"),)


def test_rotation_of_as_many_keys_as_may_sign_is_refused() -> None:
    keys = (SigningKey("current"), *(SigningKey(str(n), until=NOW + timedelta(days=1)) for n in range(MOST_KEYS - 1)))
    with pytest.raises(OverlapPromised, match="2026-01-31T10:30:00Z"):
        rotated(keys, SigningKey("new"), overlap=timedelta(hours=1), now=NOW)
