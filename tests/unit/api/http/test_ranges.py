"""Requested byte ranges (RFC 9110, 14), and conditional requests (13)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from service.api.http.etags import is_modified
from service.api.http.ranges import Range, is_refused, wanted
from service.errors import RangeUnsatisfiable

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
    assert wanted(Headers({"range": asked}), 10, ETAG) == found


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-11", "bytes=999999999999999999-", "bytes=-0"])
def test_range_beyond_end_is_refused(asked: str) -> None:
    with pytest.raises(RangeUnsatisfiable):
        wanted(Headers({"range": asked}), 10, ETAG)


def test_range_of_other_version_is_whole_file() -> None:
    assert wanted(Headers({"range": "bytes=0-1", "if-range": '"other"'}), 10, ETAG) is None
    assert wanted(Headers({"range": "bytes=0-1", "if-range": 'W/"abc"'}), 10, ETAG) is None
    assert wanted(Headers({"range": "bytes=0-1", "if-range": "Sat, 28 Nov 2026 00:00:00 GMT"}), 10, ETAG) is None
    assert wanted(Headers({"range": "bytes=0-1", "if-range": ETAG}), 10, ETAG) == Range(0, 2)


@pytest.mark.parametrize(
    ("tags", "has_it", "has_it_strongly"),
    [
        ('"abc"', True, True),
        ('W/"abc"', True, False),
        ('"x", "abc"', True, True),
        ('"x","abc"', True, True),
        ('"a,b" , "abc"', True, True),
        ("*", True, True),
        ('"x"', False, False),
        ("abc", False, False),
        ("", False, False),
    ],
)
def test_condition_has_current_etag(tags: str, has_it: bool, has_it_strongly: bool) -> None:
    assert is_modified(Headers({"if-none-match": tags}), ETAG) is not has_it
    assert is_refused(Headers({"if-match": tags}), ETAG) is not has_it_strongly


def test_condition_in_two_lines_is_one_list() -> None:
    lines = Headers(raw=[(b"if-none-match", b'"x"'), (b"if-none-match", b'"abc"')])
    assert not is_modified(lines, ETAG)


def test_no_condition_is_fulfilled() -> None:
    assert is_modified(Headers(), ETAG)
    assert not is_refused(Headers(), ETAG)


@given(st.text(st.characters(max_codepoint=255), max_size=40), st.integers(1, 1000))
def test_range_any_text_is_valid_or_ignored(asked: str, size: int) -> None:
    try:
        found = wanted(Headers({"range": asked}), size, ETAG)
    except RangeUnsatisfiable:
        return
    assert found is None or 0 <= found.start < found.end <= size
