"""Scans of the whole keyspace in pages, for the audit only."""

from collections.abc import AsyncIterator
from typing import Final

from service.store.redis.client import Redis

_PAGE: Final = 1000


async def keys_like(redis: Redis, pattern: str) -> AsyncIterator[str]:
    """Yield every key of a pattern, by SCAN: a key may come twice."""
    cursor = b"0"
    while True:
        cursor, found = await redis.execute("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE)
        for name in found:
            yield name.decode()
        if cursor == b"0":
            return


async def members_of_sets(redis: Redis, pattern: str) -> set[str]:
    """Return the members of all sets whose key has this pattern."""
    found: set[str] = set()
    async for key in keys_like(redis, pattern):
        found.update(name.decode() for name in await redis.execute("SMEMBERS", key))
    return found
