"""Patterns of subjects and claims: ``*`` is one or more characters without ``/`` and ``:``, ``**`` one or more of any.

Matching simulates all positions of a pattern at once: its time is bounded by the product of both lengths, whatever the
text of a token is. A regular expression with several wildcards has no such bound.
"""

from functools import lru_cache
from itertools import product
from typing import Final

_SEGMENT: Final = "*"
_ANY: Final = "**"
_SEPARATORS: Final = "/:"

#: Characters and wildcards of a pattern, in order.
_Steps = tuple[str, ...]


def is_pattern(text: str) -> bool:
    """Return whether the text has a wildcard."""
    return _SEGMENT in text


def is_only_wildcards(text: str) -> bool:
    return not text.strip(_SEGMENT + _SEPARATORS)


def matches(pattern: str, text: str) -> bool:
    """Return whether a pattern matches the whole text."""
    if not is_pattern(pattern):
        return pattern == text
    if not text.startswith(pattern.partition(_SEGMENT)[0]):
        return False
    return _meet(_steps(pattern), tuple(text))


def overlap(first: str, second: str) -> bool:
    """Return whether there is a text that both patterns match."""
    return _meet(_steps(first), _steps(second))


@lru_cache(maxsize=4096)
def _steps(pattern: str) -> _Steps:
    steps: list[str] = []
    for character in pattern:
        if character == _SEGMENT and steps and steps[-1] == _SEGMENT:
            steps[-1] = _ANY
        else:
            steps.append(character)
    return tuple(steps)


def _meet(first: _Steps, second: _Steps) -> bool:
    """Return whether both can consume the same text to their ends."""
    end = (len(first), len(second))
    reached, todo = {(0, 0)}, [(0, 0)]
    while todo:
        here = todo.pop()
        if here == end:
            return True
        i, j = here
        if i < end[0] and j < end[1] and _share_character(first[i], second[j]):
            following = set(product(_after(first, i), _after(second, j))) - reached
            reached |= following
            todo += following
    return False


def _after(steps: _Steps, position: int) -> tuple[int, ...]:
    """Return the positions after one more character: a wildcard may consume further ones."""
    return (position, position + 1) if steps[position] in (_SEGMENT, _ANY) else (position + 1,)


def _share_character(first: str, second: str) -> bool:
    if _ANY in (first, second):
        return True
    if _SEGMENT in (first, second):
        return first not in _SEPARATORS and second not in _SEPARATORS
    return first == second
