"""Entity tags of conditional requests (RFC 9110, sections 8.8.3 and 13.1): lists, ``*``, strong and weak comparison."""

import re
from typing import Final

_TAG: Final = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_BETWEEN: Final = " \t,"
ANY: Final = "*"


def tags_of(value: str) -> frozenset[str] | None:
    """Return the tags in the value of a header, or ``ANY`` alone; None if it is no list of tags."""
    if value.strip() == ANY:
        return frozenset({ANY})
    found = frozenset(match.group() for match in _TAG.finditer(value))
    return found if found and not _TAG.sub("", value).strip(_BETWEEN) else None


def matches_strongly(tags: frozenset[str], etag: str) -> bool:
    """Compare as ``If-Match`` does: a weak tag matches nothing."""
    return ANY in tags or (etag in tags and not etag.startswith("W/"))


def matches_weakly(tags: frozenset[str], etag: str) -> bool:
    """Compare as ``If-None-Match`` does: a weak tag equals the strong one with the same text."""
    return ANY in tags or etag.removeprefix("W/") in {tag.removeprefix("W/") for tag in tags}
