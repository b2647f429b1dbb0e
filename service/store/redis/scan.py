"""Reads of whole keys and of the whole keyspace, in pages: no command reads more than one page.

A member that is there from the start to the end of a scan is returned; one that comes or goes meanwhile may be.
"""

from collections.abc import AsyncIterator
from typing import Final

from service.store.redis.client import Redis

_PAGE: Final = 1000


async def keys_like(redis: Redis, pattern: str) -> AsyncIterator[str]:
    """Yield every key of a pattern: a key may come twice. For the audit only: it reads the whole keyspace."""
    cursor = b"0"
    while True:
        cursor, found = await redis.execute("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE)
        for name in found:
            yield name.decode()
        if cursor == b"0":
            return


async def members(redis: Redis, key: str) -> set[str]:
    """Return the members of a set."""
    found: set[str] = set()
    cursor = b"0"
    while True:
        cursor, page = await redis.execute("SSCAN", key, cursor, "COUNT", _PAGE)
        found.update(name.decode() for name in page)
        if cursor == b"0":
            return found


async def scores(redis: Redis, key: str) -> dict[str, float]:
    """Return the members of a sorted set with their scores."""
    found: dict[str, float] = {}
    cursor = b"0"
    while True:
        cursor, page = await redis.execute("ZSCAN", key, cursor, "COUNT", _PAGE)
        found.update((name.decode(), float(score)) for name, score in zip(page[::2], page[1::2], strict=True))
        if cursor == b"0":
            return found


async def members_of_sets(redis: Redis, pattern: str) -> set[str]:
    """Return the members of all sets whose key has this pattern."""
    found: set[str] = set()
    async for key in keys_like(redis, pattern):
        found |= await members(redis, key)
    return found
