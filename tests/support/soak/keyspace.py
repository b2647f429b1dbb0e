"""Counts of Redis' keys and of their elements by kind: a key's name without its ids and digests."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import redis as redis_py

from service.store.keys import TAG

#: Ids, digests, pseudonyms, days, months and process ids have digits; the fixed parts of a name have none.
_VARIABLE: Final = re.compile(r"\d")
_SIZES: Final = {b"zset": "ZCARD", b"set": "SCARD", b"list": "LLEN", b"hash": "HLEN", b"stream": "XLEN"}
_BATCH: Final = 500


@dataclass
class Counts:
    keys: Counter[str] = field(default_factory=Counter)
    elements: Counter[str] = field(default_factory=Counter)
    """Elements of all keys of a kind. A string has one."""


def kind_of(key: str) -> str:
    """Return the kind of a key: ``tenant:*:queued`` of the queue of a tenant."""
    parts = key.removeprefix(TAG).split(":")
    return ":".join("*" if _VARIABLE.search(part) else part for part in parts)


def count(redis: redis_py.Redis) -> Counts:
    """Count all keys. Keys that end meanwhile may be missing."""
    counts = Counts()
    names = list(redis.scan_iter(count=_BATCH))
    for start in range(0, len(names), _BATCH):
        batch = names[start : start + _BATCH]
        types = _pipelined(redis, [("TYPE", name) for name in batch])
        sizes = _pipelined(
            redis, [(_SIZES.get(found, "EXISTS"), name) for name, found in zip(batch, types, strict=True)]
        )
        for name, size in zip(batch, sizes, strict=True):
            kind = kind_of(name.decode())
            if isinstance(size, int) and size > 0:  # an error: the key has ended, and its name has another type
                counts.keys[kind] += 1
                counts.elements[kind] += size
    return counts


def _pipelined(redis: redis_py.Redis, commands: list[tuple[Any, ...]]) -> list[Any]:
    with redis.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        found: list[Any] = pipeline.execute(raise_on_error=False)
    return found
