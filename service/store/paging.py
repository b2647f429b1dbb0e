"""Pages of an index whose members are ids: newest (or oldest) first, filtered, with a cursor.

Ids sort by creation, so that times are bounds of an index and an id is a cursor.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Generic, Protocol, TypeVar

from service.domain import ids
from service.store.redis.client import Redis

Record = TypeVar("Record")

#: Entries of an index that one call reads. If they do not fill the page, the call returns a short page with a cursor.
ENTRIES_READ: Final = 500
#: Records that one exchange loads: with slices of one, a filter that matches nothing made 500 exchanges.
_SLICE: Final = 50
#: Sorts after every id: ids are ASCII.
_AFTER_IDS: Final = b"\xff"


@dataclass(frozen=True, slots=True)
class Page(Generic[Record]):
    """``after`` is the cursor of the next page; None: there is nothing more."""

    items: list[Record] = field(default_factory=list)
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """A sorted set of ids; with a term, the part of it whose entries are this term and an id."""

    key: str
    term: bytes = b""

    def name(self, entry: bytes) -> str:
        """Return the id of an entry."""
        return entry[len(self.term) :].decode()

    def bound(self, bound: str) -> bytes:
        """Return a bound over ids as a bound over entries."""
        if not self.term or bound not in ("-", "+"):
            return bound[:1].encode() + self.term + bound[1:].encode()
        return b"[" + self.term if bound == "-" else b"(" + self.term + _AFTER_IDS

    def bounds(self, part: "Part") -> tuple[bytes, bytes]:
        """Return the first and the last bound of a part over entries."""
        first, last = part.bounds
        return self.bound(first), self.bound(last)

    async def read(self, redis: Redis, part: "Part", most: int) -> list[str]:
        """Return the first ids of a part, at most ``most``."""
        first, last = self.bounds(part)
        if part.oldest_first:
            entries = await redis.execute("ZRANGEBYLEX", self.key, first, last, "LIMIT", 0, most)
        else:
            entries = await redis.execute("ZREVRANGEBYLEX", self.key, first, last, "LIMIT", 0, most)
        return [self.name(entry) for entry in entries]


@dataclass(frozen=True, slots=True)
class Range:
    """Part of an index: ids after a cursor, and created within two times."""

    prefix: str
    """Of the ids."""
    after: str | None = None
    """Last id of the page before."""
    created_after: datetime | None = None
    created_before: datetime | None = None
    oldest_first: bool = False

    @property
    def bounds(self) -> tuple[str, str]:
        """Return the bounds for ZREVRANGEBYLEX, or for ZRANGEBYLEX with the oldest first."""
        if not self.oldest_first:
            return self._bounds(self.after)
        upper, lower = self._bounds(None)
        return (lower if self.after is None else "(" + self.after), upper

    def _bounds(self, after: str | None) -> tuple[str, str]:
        """Return the upper and the lower bound, the newest first."""
        upper = "+" if self.created_before is None else "(" + ids.lowest(self.prefix, self.created_before)
        if after is not None:
            upper = min(upper, "(" + after) if upper != "+" else "(" + after
        if self.created_after is None:
            return upper, "-"
        return upper, "[" + ids.lowest(self.prefix, self.created_after + timedelta(milliseconds=1))


class Part(Protocol):
    """Part of an index whose members sort."""

    @property
    def oldest_first(self) -> bool: ...

    @property
    def bounds(self) -> tuple[str, str]: ...


class Readable(Protocol):
    """Index, or several of them, from which ids are read in their order."""

    async def read(self, redis: Redis, part: Part, most: int) -> list[str]: ...


async def read_page(
    redis: Redis,
    index: Readable,
    part: Part,
    *,
    limit: int,
    load: Callable[[Sequence[str]], Awaitable[Sequence[Record | None]]],
    matches: Callable[[Record], bool],
    most_read: int = ENTRIES_READ,
) -> Page[Record]:
    """Read the first records of a range that match; a page may be shorter than ``limit`` and not be the last one.

    ``most_read``: records that are read at most. The first slice of them has ``limit``, since most pages need no other
    one.
    """
    # One entry more than is read says whether a next page has any.
    entries = await index.read(redis, part, most_read + 1)
    names, is_last = entries[:most_read], len(entries) <= most_read
    items: list[Record] = []
    for start, stop in _slices(len(names), limit):
        page = names[start:stop]
        for name, record in zip(page, await load(page), strict=True):
            if record is not None and matches(record):
                items.append(record)
            if len(items) == limit:
                return Page(items, None if is_last and name == names[-1] else name)
    return Page(items, None if is_last else names[-1])


def _slices(count: int, first: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of a first slice of ``first`` entries, and of others of ``_SLICE`` or more."""
    start, stop = 0, min(first, count)
    while start < count:
        yield start, stop
        start, stop = stop, min(stop + max(first, _SLICE), count)
