"""Patterns: a regular expression with the same meaning agrees, and so does a search for a common text."""

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.identity import patterns

_TEXTS = ["".join(letters) for size in range(1, 5) for letters in product("ab:", repeat=size)]
_PATTERN = st.lists(st.sampled_from(["a", "b", ":", "*", "**"]), min_size=1, max_size=5).map(
    lambda parts: re.sub(r"\*{3,}", "**", "".join(parts))
)


def expression(pattern: str) -> re.Pattern[str]:
    parts = {"*": "[^/:]+", "**": ".+"}
    return re.compile("".join(parts.get(part, re.escape(part)) for part in re.findall(r"\*\*|\*|[^*]", pattern)))


@given(_PATTERN, st.text("ab:/", min_size=1, max_size=8))
def test_pattern_matches_like_an_expression(pattern: str, text: str) -> None:
    assert patterns.matches(pattern, text) == bool(expression(pattern).fullmatch(text))


@given(_PATTERN, _PATTERN)
def test_patterns_with_a_common_text_overlap(first: str, second: str) -> None:
    common = any(expression(first).fullmatch(text) and expression(second).fullmatch(text) for text in _TEXTS)

    assert patterns.overlap(first, second) == patterns.overlap(second, first)
    assert not common or patterns.overlap(first, second)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("a:*", "a:b:c", False),
        ("a:*", "*:b", True),
        ("a:**", "**:c", True),
        ("a*b", "a:*", False),
        ("ab*", "ac*", False),
        ("*", "a/b", False),
        ("**", "a/b", True),
        ("*a", "a*", True),
        ("a*", "a", False),
    ],
)
def test_overlap_of_patterns(first: str, second: str, expected: bool) -> None:
    assert patterns.overlap(first, second) is expected


def test_matching_of_many_wildcards_is_bounded() -> None:
    assert not patterns.matches("**a" * 100 + "b", "a" * 512)


@pytest.mark.parametrize(
    ("pattern", "wildcards"), [("*", True), ("**:*/**", True), (":", True), ("*a*", False), ("a", False), ("*X", False)]
)
def test_pattern_of_wildcards_alone_is_found(pattern: str, wildcards: bool) -> None:
    assert patterns.is_only_wildcards(pattern) is wildcards
