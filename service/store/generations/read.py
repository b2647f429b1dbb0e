"""Reads of generations: by id, and in pages of those that match a filter."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from service.domain import ids
from service.domain.generation import Generation
from service.domain.generation_filter import Filter
from service.domain.status import PUBLIC_TERMINAL, PublicStatus, Status, StatusGroup
from service.store import keys
from service.store.generations import terms
from service.store.generations.records import load
from service.store.paging import ENTRIES_READ, Index, Page, Part, Range, Readable, read_page
from service.store.redis.client import Redis, Script

#: Value of the key that says how far the indexes are written.
INDEXED: Final = b"done"
_READ_TERMS: Final = Script("read_terms")


@dataclass(frozen=True, slots=True)
class _LiveIndex:
    """Generations of all tenants before an end: two terms of one index, in the order of their ids."""

    groups: tuple[bytes, ...]

    @property
    def indexes(self) -> list[Index]:
        return [Index(keys.GENERATION_TERMS, term) for term in self.groups]

    async def read(self, redis: Redis, part: Part, most: int) -> list[str]:
        """Return the first ids of a part, at most ``most``."""
        found = await redis.run(
            _READ_TERMS,
            {"generation_terms": keys.GENERATION_TERMS},
            {
                "oldest_first": 1 if part.oldest_first else "",
                "limit": most,
                "bounds": list(chain.from_iterable(index.bounds(part) for index in self.indexes)),
            },
        )
        names = [index.name(entry) for index, entries in zip(self.indexes, found, strict=True) for entry in entries]
        return sorted(names, reverse=not part.oldest_first)[:most]


class GenerationReader:
    """Reads generations."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._indexed = False
        """Whether the indexes have the records of all releases, once that was read."""

    async def load(self, generation_id: str) -> Generation | None:
        """Return a generation; None: there is none."""
        record = await self._redis.execute("HGET", keys.generation(generation_id), "d")
        return None if record is None else load(record)

    async def load_with_position(self, tenant_id: str, generation_id: str) -> tuple[Generation | None, int | None]:
        """Return a generation, and how many of its tenant are before it; None: it is not queued."""
        record, rank = await self._redis.gather(
            (
                ("HGET", keys.generation(generation_id), "d"),
                ("ZRANK", keys.queued_of_tenant(tenant_id), generation_id),
            )
        )
        return None if record is None else load(record), rank

    async def load_many(self, generation_ids: Sequence[str]) -> list[Generation | None]:
        """Return the generations of these ids, in order; None: there is none."""
        records = await self._redis.gather(("HGET", keys.generation(name), "d") for name in generation_ids)
        return [None if record is None else load(record) for record in records]

    async def page(
        self,
        wanted: Filter,
        *,
        limit: int,
        after: str | None,
        over_all: bool = False,
        most_read: int = ENTRIES_READ,
    ) -> Page[Generation]:
        """Return a page of all tenants or of one, the newest first unless the filter says otherwise.

        The cursor of a filter with a tenant names no generation of another tenant, unless ``over_all``: for operators,
        whose pages are read from an index of all tenants where it is the smaller one.
        """
        part = Range(ids.GENERATION, after, wanted.created_after, wanted.created_before, wanted.oldest_first)
        return await read_page(
            self._redis,
            await self._index(wanted, over_all=over_all),
            part,
            limit=limit,
            load=self.load_many,
            matches=wanted.matches,
            most_read=most_read,
        )

    async def _index(self, wanted: Filter, *, over_all: bool) -> Readable:
        """Return the smallest index that has all generations that match."""
        by_term = await self._by_term(wanted)
        if wanted.tenant_id is None:
            return by_term or _live_index(wanted) or Index(keys.GENERATIONS)
        if by_term is not None and await self._is_indexed():
            return by_term
        if wanted.end_user is not None:
            own = Index(keys.generations_of_end_user(wanted.tenant_id, wanted.end_user))
        else:
            own = Index(keys.generations_of_tenant(wanted.tenant_id))
        live = _live_index(wanted) if over_all else None
        if live is None or not await self._is_indexed():
            return own
        return live if await self._has_fewer(live, own) else own

    async def _has_fewer(self, live: _LiveIndex, own: Index) -> bool:
        counts = await self._redis.gather(
            (
                ("ZCARD", own.key),
                *(("ZLEXCOUNT", index.key, index.bound("-"), index.bound("+")) for index in live.indexes),
            )
        )
        return bool(sum(counts[1:]) < counts[0])

    async def _by_term(self, wanted: Filter) -> Index | None:
        """Return an index of terms; None: the filter has no term, or the list of the end user is shorter."""
        if wanted.fal_request_id is not None:
            return Index(keys.GENERATION_TERMS, terms.of_request_id(wanted.fal_request_id))
        if wanted.tenant_id is None:
            term = _status_term(wanted)
            return None if term is None else Index(keys.GENERATION_TERMS, term)
        key = keys.generation_terms_of_tenant(wanted.tenant_id)
        if wanted.metadata:
            return await self._smallest([Index(key, terms.of_metadata(*pair)) for pair in wanted.metadata])
        term = None if wanted.end_user is not None else _end_term(wanted)
        return None if term is None else Index(key, term)

    async def _is_indexed(self) -> bool:
        """Return whether the indexes have the records of all releases. Afterwards this sends no command any more."""
        self._indexed = self._indexed or await self._redis.execute("GET", keys.SEARCH_INDEXED) == INDEXED
        return self._indexed

    async def _smallest(self, indexes: Sequence[Index]) -> Index:
        """Return the index with the fewest entries. Counting a range takes no more time than finding it."""
        if len(indexes) == 1:
            return indexes[0]
        counts = await self._redis.gather(
            ("ZLEXCOUNT", index.key, index.bound("-"), index.bound("+")) for index in indexes
        )
        return indexes[counts.index(min(counts))]


def _end_term(wanted: Filter) -> bytes | None:
    """Return the term of an end without a video; None: the filter does not name one."""
    if wanted.error_code is not None:
        return terms.of_code(wanted.error_code)
    return terms.ENDED.get(Status(wanted.status)) if isinstance(wanted.status, PublicStatus) else None


def _status_term(wanted: Filter) -> bytes | None:
    """Return the term of an error code or an end; None: the filter names none, or the status has no term."""
    is_end = wanted.error_code is not None or wanted.status in (None, *PUBLIC_TERMINAL)
    return _end_term(wanted) if is_end else None


def _live_index(wanted: Filter) -> _LiveIndex | None:
    """Return the index of a status before an end, or of several; None: the filter names none."""
    if wanted.status is None or wanted.status in PUBLIC_TERMINAL or wanted.error_code is not None:
        return None
    if wanted.status is StatusGroup.LIVE:
        return _LiveIndex((terms.QUEUED, terms.IN_FLIGHT))
    return _LiveIndex((terms.QUEUED if wanted.status is PublicStatus.QUEUED else terms.IN_FLIGHT,))
