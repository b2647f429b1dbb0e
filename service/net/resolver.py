"""DNS lookups of names that tenants chose, on separate threads that no tenant can have all of.

The addresses are checked when a socket is opened (`ssrf`), however they were looked up.
"""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

#: Concurrent lookups of names that have resolved before, and of the others.
LOOKUP_THREADS: Final = 32
#: A tenant may have lookups until they are this part of the threads that are left.
_TENANT_SHARE: Final = 0.4
#: Longest wait of a caller, with the wait for a thread. A lookup itself cannot be cancelled.
_SECONDS: Final = 5.0
#: A lookup, also one that failed, is not repeated for so long.
_CACHE_SECONDS: Final = 10.0
#: Names whose result is remembered.
_MOST_NAMES: Final = 10_000

_Name = tuple[str, int, socket.AddressFamily]
_tenant: Final = ContextVar("lookups_of_tenant", default="")


@contextmanager
def lookups_of(tenant_id: str) -> Iterator[None]:
    """Count the lookups within this context as those of a tenant. All lookups outside of one count together."""
    token = _tenant.set(tenant_id)
    try:
        yield
    finally:
        _tenant.reset(token)


class _Threads:
    """Threads that tenants share."""

    def __init__(self) -> None:
        self.executor: Final = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="dns")
        self._busy = Counter[str]()
        self._changed = asyncio.Condition()

    async def acquire(self, tenant_id: str) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._may(tenant_id))
            self._busy[tenant_id] += 1

    async def release(self, tenant_id: str) -> None:
        async with self._changed:
            self._busy[tenant_id] -= 1
            if not self._busy[tenant_id]:
                del self._busy[tenant_id]
            self._changed.notify_all()

    def _may(self, tenant_id: str) -> bool:
        own, left = self._busy[tenant_id], LOOKUP_THREADS - self._busy.total()
        return left > 0 and (own == 0 or own + 1 <= _TENANT_SHARE * left)


@dataclass(frozen=True, slots=True)
class _Lookup:
    task: asyncio.Task[list[ResolveResult]]
    deadline: float


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a lookup found, or its error."""

    found: list[ResolveResult]
    error: socket.gaierror | None
    until: float


class Resolver(AbstractResolver):
    """`getaddrinfo` on its own threads: one lookup of a name, a share of a tenant, a time limit.

    aiohttp's resolver goes through `loop.getaddrinfo`: under uvloop that is libuv's pool of four threads, which also
    looks up fal for the rest of the process. A few webhook domains with a dead name server would block them all.
    Names that have not resolved yet have threads of their own: those whose name server does not answer leave the
    threads for known names.

    Use it with `use_dns_cache=False`: aiohttp would let one tenant wait for another one's lookup of the same name.
    """

    def __init__(self) -> None:
        self._known, self._unknown = _Threads(), _Threads()
        self._resolved: dict[str, None] = {}
        """Names whose last lookup succeeded in time."""
        self._answers: dict[_Name, _Answer] = {}
        self._lookups: dict[tuple[str, _Name], _Lookup] = {}
        """By tenant and name."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises socket.gaierror or TimeoutError, both an OSError, as aiohttp expects."""
        name, now = (host.lower(), port, family), time.monotonic()
        if (answer := self._answers.get(name)) is not None and now < answer.until:
            if answer.error is not None:
                raise socket.gaierror(*answer.error.args)
            return answer.found
        key = (_tenant.get(), name)
        lookup = self._lookups.get(key)
        if lookup is None:
            task = asyncio.create_task(self._look_up(*key), name="dns")
            task.add_done_callback(_retrieve)
            lookup = self._lookups[key] = _Lookup(task, now + _SECONDS)
        try:
            async with asyncio.timeout(max(0.0, lookup.deadline - now)):  # at once for a name that hangs
                return await asyncio.shield(lookup.task)
        except TimeoutError:
            self._resolved.pop(name[0], None)
            raise

    async def close(self) -> None:
        for lookup in self._lookups.values():
            lookup.task.cancel()
        for threads in (self._known, self._unknown):
            threads.executor.shutdown(wait=False, cancel_futures=True)

    async def _look_up(self, tenant_id: str, name: _Name) -> list[ResolveResult]:
        threads = self._known if name[0] in self._resolved else self._unknown
        try:
            async with asyncio.timeout(_SECONDS):
                await threads.acquire(tenant_id)
            try:
                return await self._look_up_now(threads, name)
            finally:
                await threads.release(tenant_id)
        finally:
            del self._lookups[tenant_id, name]

    async def _look_up_now(self, threads: _Threads, name: _Name) -> list[ResolveResult]:
        began, found, error = time.monotonic(), list[ResolveResult](), None
        try:
            found = await asyncio.get_running_loop().run_in_executor(threads.executor, _addresses, *name)
        except socket.gaierror as failure:
            error = failure
        now = time.monotonic()
        if len(self._resolved) >= _MOST_NAMES or len(self._answers) >= _MOST_NAMES:
            self._resolved.clear()
            self._answers.clear()
        self._answers[name] = _Answer(found, error, now + _CACHE_SECONDS)
        if error is not None:
            raise error
        if now - began < _SECONDS:
            self._resolved[name[0]] = None
        return found


def _retrieve(lookup: asyncio.Task[list[ResolveResult]]) -> None:
    """Retrieve the error, so that asyncio does not log it when no caller waits any more."""
    if not lookup.cancelled():
        lookup.exception()


def _addresses(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    infos = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host, host=str(address[0]), port=port, family=family, proto=protocol, flags=socket.AI_NUMERICHOST
        )
        for family, _, protocol, _, address in infos
    ]
