"""A cache of look-ups by name: a look-up is shared by all requests while it runs, and until it is too old."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from service.errors import StoreUnavailable

#: An older look-up stays for this long: the next one of the name then transfers the record only if it changed.
_KEPT_SECONDS: Final = 10.0
CACHE_SIZE: Final = 20_000

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class _Lookup(Generic[V]):
    begun: float
    task: asyncio.Task[V | None]

    def result(self) -> V | None:
        """Return the result; None also while the look-up runs, and if it failed."""
        task = self.task
        return task.result() if task.done() and not task.cancelled() and task.exception() is None else None


class LookupCache(Generic[V]):
    def __init__(self, look_up: Callable[[str, V | None], Awaitable[V | None]]) -> None:
        """``look_up`` receives a name and its result before, if there is one."""
        self._look_up = look_up
        self._lookups: dict[str, _Lookup[V]] = {}

    async def get(self, name: str, oldest: float) -> tuple[V | None, float]:
        """Return what the name has, and when its look-up began. One older than ``oldest`` seconds is repeated."""
        now = asyncio.get_running_loop().time()
        cached = self._lookups.get(name)
        if cached is None or now >= cached.begun + oldest:
            cached = self._start(name, cached, now)
        if (result := cached.result()) is not None:
            return result, cached.begun
        try:
            return await asyncio.shield(cached.task), cached.begun
        except StoreUnavailable:
            self._lookups.pop(name, None)
            raise

    def clear(self) -> None:
        self._lookups.clear()

    def _start(self, name: str, before: _Lookup[V] | None, now: float) -> _Lookup[V]:
        known = None if before is None else before.result()
        cached = _Lookup(now, asyncio.create_task(_run(self._look_up, name, known)))
        insert(self._lookups, name, cached, is_old=lambda entry: entry.begun < now - _KEPT_SECONDS)
        return cached


async def _run(look_up: Callable[[str, V | None], Awaitable[V | None]], name: str, known: V | None) -> V | None:
    return await look_up(name, known)


def insert(entries: dict[K, V], key: K, value: V, *, is_old: Callable[[V], bool], most: int | None = None) -> None:
    """Insert or replace an entry as the last one, and delete the first ones as long as they are old or too many.

    An entry has kilobytes: a look-up's task refers to the context of its request. Keys of one call, and unknown keys
    that a client makes up, would otherwise hold that memory until there are ``most`` of them, by default CACHE_SIZE.
    """
    entries.pop(key, None)
    entries[key] = value
    while len(entries) > 1 and (len(entries) > (most or CACHE_SIZE) or is_old(entries[next(iter(entries))])):
        del entries[next(iter(entries))]
