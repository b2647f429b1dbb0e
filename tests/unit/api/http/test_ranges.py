"""Requested byte ranges (RFC 9110, 14), and conditional requests (13)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.http.ranges import Range, Unsatisfiable, not_modified, wanted

ETAG = '"abc"'


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("bytes=0-0", Range(0, 1)),
        ("bytes=0-", Range(0, 10)),
        ("bytes=2-5", Range(2, 6)),
        ("bytes=9-9", Range(9, 10)),
        ("bytes=5-100", Range(5, 10)),
        ("bytes=-3", Range(7, 10)),
        ("bytes=-100", Range(0, 10)),
        ("Bytes = 2 - 5", Range(2, 6)),
        ("bytes=5-2", None),
        ("bytes=0-1,4-5", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("lines=0-1", None),
        ("bytes=²-³", None),
        ("bytes=" + "9" * 5000 + "-", None),
        ("", None),
    ],
)
def test_range_is_one_or_whole_file(asked: str, found: Range | None) -> None:
    assert wanted({"range": asked}, 10, ETAG) == found


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-11", "bytes=999999999999999999-", "bytes=-0"])
def test_range_beyond_end_is_refused(asked: str) -> None:
    with pytest.raises(Unsatisfiable):
        wanted({"range": asked}, 10, ETAG)


def test_range_of_other_version_is_whole_file() -> None:
    assert wanted({"range": "bytes=0-1", "if-range": '"other"'}, 10, ETAG) is None
    assert wanted({"range": "bytes=0-1", "if-range": ETAG}, 10, ETAG) == Range(0, 2)


@pytest.mark.parametrize(
    ("given_tags", "has_it"),
    [
        ('"abc"', True),
        ('W/"abc"', True),
        ('"x", "abc"', True),
        ("*", True),
        ('"x"', False),
        ("abc", False),
        ("", False),
    ],
)
def test_if_none_match_of_current_etag(given_tags: str, has_it: bool) -> None:
    assert not_modified({"if-none-match": given_tags}, ETAG) is has_it
    assert not_modified({}, ETAG) is False


@given(st.text(max_size=40), st.integers(1, 1000))
def test_range_any_text_is_valid_or_ignored(asked: str, size: int) -> None:
    try:
        found = wanted({"range": asked}, size, ETAG)
    except Unsatisfiable:
        return
    assert found is None or 0 <= found.start < found.end <= size
