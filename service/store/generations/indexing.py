"""The indexes of searches, written for records of releases that did not have them, and how far that is."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from service.domain import ids
from service.store import keys
from service.store.generations import terms
from service.store.generations.read import INDEXED, GenerationReader
from service.store.generations.write import term_keys
from service.store.redis.client import Redis, Script

_INDEX: Final = Script("index")
#: A record that changes each time between its read and its index entries is left to the next step.
_MOST_READS: Final = 5
_EARLIEST: Final = ids.from_milliseconds(0)


@dataclass(frozen=True, slots=True)
class Position:
    """The last tenant and the last of its generations that a pass has indexed; ``""``: none yet."""

    tenant_id: str = ""
    generation_id: str = ""
    number: int = 1
    """Of the pass."""
    begins: datetime = _EARLIEST
    """When the pass may begin."""


class IndexingStore:
    """Walks tenants and their generations, and writes index entries."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._records = GenerationReader(redis)

    async def position(self) -> Position | None:
        """Return how far the indexes are written; None: all of them are."""
        found = await self._redis.execute("GET", keys.SEARCH_INDEXED)
        if found == INDEXED:
            return None
        if found is None:
            return Position()
        number, begins, tenant_id, generation_id = found.decode().split(" ")
        return Position(tenant_id, generation_id, int(number), ids.from_milliseconds(int(begins)))

    async def note(self, position: Position | None) -> None:
        """Record how far the indexes are written."""
        await self._redis.execute("SET", keys.SEARCH_INDEXED, INDEXED if position is None else _text(position))

    async def index_some(self, after: Position, *, most: int) -> Position | None:
        """Index the next generations of one tenant, at most ``most``.

        Return the new position; None: the pass is complete.
        """
        if after.tenant_id:
            index = keys.generations_of_tenant(after.tenant_id)
            lower = f"({after.generation_id}" if after.generation_id else "-"
            found = await self._redis.execute("ZRANGEBYLEX", index, lower, "+", "LIMIT", 0, most)
            names = [name.decode() for name in found]
            if not all(await asyncio.gather(*(self._index(name) for name in names))):
                return after
            if len(names) == most:
                return replace(after, generation_id=names[-1])
        lower = f"({after.tenant_id}" if after.tenant_id else "-"
        following = await self._redis.execute("ZRANGEBYLEX", keys.TENANTS, lower, "+", "LIMIT", 0, 1)
        return replace(after, tenant_id=following[0].decode(), generation_id="") if following else None

    async def _index(self, generation_id: str) -> bool:
        """Write the entries of one generation; False: it changed at each attempt."""
        for _ in range(_MOST_READS):
            g = await self._records.load(generation_id)
            if g is None:
                return True
            written = await self._redis.run(
                _INDEX,
                {"generation": keys.generation(g.id), "generations": keys.GENERATIONS, **term_keys(g.tenant_id)},
                {"generation_id": g.id, "version": g.version, **terms.complete(g)},
            )
            if written:
                return True
        return False


def _text(position: Position) -> str:
    begins = ids.milliseconds(position.begins)
    return f"{position.number} {begins} {position.tenant_id} {position.generation_id}"
