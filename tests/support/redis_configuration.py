"""Changes of the configuration of a running Redis, for one test."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis as redis_py


@contextmanager
def configured(url: str, **changes: str) -> Iterator[None]:
    """Change settings of the Redis server, and restore them."""
    with redis_py.Redis.from_url(url, decode_responses=True) as client:
        before = {name: client.config_get(name)[name] for name in changes}
        try:
            for name, value in changes.items():
                client.config_set(name, value)
            yield
        finally:
            for name, value in before.items():
                client.config_set(name, value)
            while client.info("persistence")["aof_rewrite_in_progress"]:  # its buffer is 10 MB of memory meanwhile
                time.sleep(0.01)
