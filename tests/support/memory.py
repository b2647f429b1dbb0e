"""A Redis with a given share of its memory used."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import redis as redis_py

from service.store.redis.client import Redis

#: Large enough that the memory of a test and its connections does not matter.
_BALLAST: Final = 30_000_000


def expire_reading(redis: Redis) -> None:
    """Let the client read the memory again before the next create."""
    redis.memory._read_at = None


@contextmanager
def full(url: str, *, used: float) -> Iterator[None]:
    """``used``: share of ``maxmemory``; above 1 Redis itself refuses writes that grow."""
    with redis_py.Redis.from_url(url) as client:
        client.setrange("{sg}:ballast", _BALLAST, "x")
        client.config_set("maxmemory", int(client.info("memory")["used_memory"] / used))
        try:
            yield
        finally:
            client.config_set("maxmemory", 0)
            client.delete("{sg}:ballast")
