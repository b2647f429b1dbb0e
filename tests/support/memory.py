"""A Redis whose memory is full to a given share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import redis as redis_py

from service.store.redis.client import Redis

#: Next to so much, what a test and its connections take does not count.
_BALLAST: Final = 30_000_000


def a_second_passes(redis: Redis) -> None:
    """What was read of its memory before is used no more."""
    redis.memory._read_at = None


@contextmanager
def full(url: str, *, used: float) -> Iterator[None]:
    """``used``: share of ``maxmemory``; above 1 Redis itself refuses writes that grow."""
    with redis_py.Redis.from_url(url) as client:
        client.setrange("ballast", _BALLAST, "x")
        client.config_set("maxmemory", int(client.info("memory")["used_memory"] / used))
        try:
            yield
        finally:
            client.config_set("maxmemory", 0)
            client.delete("ballast")
