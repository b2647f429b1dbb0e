"""Conditional and partial reads of a thing that never changes (RFC 9110, 13 and 14): one range, strong ETags."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

_RANGE: Final = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))")


class Range(NamedTuple):
    """From ``start`` to before ``end``."""

    start: int
    end: int


class Unsatisfiable(Exception):
    """Nothing of what is asked for exists."""


def not_modified(headers: Mapping[str, str], etag: str) -> bool:
    given = headers.get("if-none-match")
    if given is None:
        return False
    return given.strip() == "*" or etag in {tag.strip().removeprefix("W/") for tag in given.split(",")}


def wanted(headers: Mapping[str, str], size: int, etag: str) -> Range | None:
    """None: all of it, which is also the answer to several ranges at once and to what is no range of bytes."""
    if headers.get("if-range", etag).strip() != etag:
        return None
    match = _RANGE.fullmatch(headers.get("range", "").replace(" ", "").lower())
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        start, end = max(0, size - int(suffix)), size
    else:
        start, end = int(first), min(int(last) + 1 if last else size, size)
        if last and int(last) < start:
            return None  # no range at all, says the grammar
    if start >= end:
        raise Unsatisfiable
    return Range(start, end)
