"""Conditional and range requests for immutable content (RFC 9110, sections 13 and 14): one range, strong ETags."""

import re
from typing import Final, NamedTuple

from starlette.datastructures import Headers

from service.api.http import etags
from service.errors import RangeUnsatisfiable

_RANGE: Final = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))")


class Range(NamedTuple):
    """A half-open range: ``start`` is included, ``end`` is not."""

    start: int
    end: int


def is_refused(headers: Headers, etag: str) -> bool:
    """Return whether ``If-Match`` does not have the tag (412)."""
    tags = etags.tags_in(headers, "if-match")
    return tags is not None and not etags.matches_strongly(tags, etag)


def wanted(headers: Headers, size: int, etag: str) -> Range | None:
    """Return the requested range; None means the whole content, also for several ranges and for an invalid header.

    Raises RangeUnsatisfiable.
    """
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
            return None  # invalid by the grammar of Range, so ignored
    if start >= end:
        raise RangeUnsatisfiable(size)
    return Range(start, end)
