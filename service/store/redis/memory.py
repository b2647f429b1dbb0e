"""The memory of Redis: used bytes, their limit, and whether anything new is accepted.

Above a share of the limit creates are refused. The rest of the memory is for accepted generations: their ends,
callbacks, request ids and webhooks. Before that, the tenants that store most are refused: a tenant may use a share of
the memory that it uses already and that is left. The threshold falls as the memory fills, so that one tenant alone may
fill most of it, and two large ones leave as much to the others.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from redis.exceptions import ResponseError

from service.errors import StoreFull, StoreUnavailable, TenantStoreFull

#: A reading older than this is renewed in the background while it is used: frequent creates never wait for a reading.
_FRESH_SECONDS: Final = 0.5
#: A reading older than this is not used: the next create waits for a new one.
_STALE_SECONDS: Final = 1.0

#: Tenants whose writes a process counts.
_MOST_COUNTED: Final = 10_000
TENANT_STORE_FULL: Final = "Redis is nearly full, and this tenant stores the largest part: it may store nothing new."

Refusal = Literal["", "store_full", "tenant_store_full"]
Source = Literal["maxmemory", "GATEWAY_REDIS_MEMORY_LIMIT", "the machine's memory", "unknown"]


@dataclass(frozen=True, slots=True)
class MemoryPolicy:
    """``limit``: bytes, if Redis has no ``maxmemory``. ``create_share``: share of the limit above which creates end.

    ``tenant_share``: share of its own bytes and of those left for creates that a tenant may use; 1: all.
    """

    limit: int | None = None
    create_share: float = 0.85
    tenant_share: float = 1.0


@dataclass(frozen=True, slots=True)
class Memory:
    """One reading, in bytes. ``limit`` None: unknown, and nothing is refused."""

    used: int = 0
    limit: int | None = None
    source: Source = "unknown"
    create_limit: int | None = None

    @property
    def refuses_creates(self) -> bool:
        """Whether creates are refused."""
        return self.create_limit is not None and self.used >= self.create_limit

    @property
    def summary(self) -> str:
        """The reading as text."""
        if self.limit is None:
            return f"{_mib(self.used)} used, of an unknown limit"
        return f"{_mib(self.used)} of {_mib(self.limit)} used ({self.source})"


def fields(text: bytes) -> dict[str, str]:
    """A reply to ``INFO``, by field."""
    lines = (line.partition(":") for line in text.decode().splitlines() if ":" in line)
    return {name: value for name, _, value in lines}


def measure(info: Mapping[str, str], policy: MemoryPolicy) -> Memory:
    """Read the fields of ``INFO memory``."""
    limits: tuple[tuple[Source, int], ...] = (
        ("maxmemory", int(info.get("maxmemory", 0))),
        ("GATEWAY_REDIS_MEMORY_LIMIT", policy.limit or 0),
        ("the machine's memory", int(info.get("total_system_memory", 0))),
    )
    # Redis does not count buffers for replicas and for the append-only file against maxmemory.
    used = int(info.get("used_memory", 0)) - int(info.get("mem_not_counted_for_evict", 0))
    for source, limit in limits:
        if limit:
            return Memory(used, limit, source, int(limit * policy.create_share))
    return Memory(used)


class MemoryMonitor:
    """Reads the memory at most twice a second, and only while there are creates."""

    def __init__(self, read: Callable[[], Awaitable[Mapping[str, str]]], policy: MemoryPolicy) -> None:
        self.policy = policy
        self._read = read
        self._memory = Memory()
        self._stored: Mapping[str, int] = {}
        """Estimated bytes of the tenants that store most."""
        self._added: dict[str, int] = {}
        """Bytes that this process has written for a tenant since its estimate: the next one takes seconds."""
        self._read_at: float | None = None
        self._reading: asyncio.Task[StoreUnavailable | None] | None = None

    async def refuses_creates(self) -> bool:
        """Whether creates are refused, by a reading of at most one second ago.

        Raises:
            StoreUnavailable: a new reading was necessary, and Redis did not reply.

        """
        age = float("inf") if self._read_at is None else time.monotonic() - self._read_at
        if self._reading is None or (age > _FRESH_SECONDS and self._reading.done()):
            self._reading = asyncio.create_task(self._refresh(), name="redis-memory")
        if age > _STALE_SECONDS:
            error = await asyncio.shield(self._reading)
            if error is not None:
                raise error
        return self._memory.refuses_creates

    async def refusal(self, tenant_id: str) -> Refusal:
        """Return why a create of this tenant is refused now, or ``""``. Raises as ``refuses_creates``."""
        if await self.refuses_creates():
            return "store_full"
        return "tenant_store_full" if self._exceeds_share(tenant_id) else ""

    async def demand_room(self, tenant_id: str | None = None) -> None:
        """Do nothing if new records are accepted, those of ``tenant_id`` if it is given.

        Raises:
            StoreFull: Redis is nearly full.
            TenantStoreFull: the tenant stores too much of what is left.

        """
        if await self.refuses_creates():
            raise StoreFull(f"Redis is nearly full and accepts nothing new: {self._memory.summary}.")
        if tenant_id is not None and self._exceeds_share(tenant_id):
            raise TenantStoreFull(TENANT_STORE_FULL)

    def note_largest(self, stored: Mapping[str, int]) -> None:
        """Take over estimates of the bytes of the tenants that store most. A new one has what was counted before it."""
        for tenant_id, size in stored.items():
            if self._stored.get(tenant_id) != size:
                self._added.pop(tenant_id, None)
        self._stored = stored

    def note_stored(self, tenant_id: str, size: int) -> None:
        """Count bytes that this process has written for a tenant."""
        if len(self._added) >= _MOST_COUNTED:
            self._added.clear()
        self._added[tenant_id] = self._added.get(tenant_id, 0) + size

    def _exceeds_share(self, tenant_id: str) -> bool:
        memory, share = self._memory, self.policy.tenant_share
        if memory.create_limit is None:
            return False
        own = self._stored.get(tenant_id, 0) + self._added.get(tenant_id, 0)
        return own > share * (own + memory.create_limit - memory.used)

    def close(self) -> None:
        """Stop a reading that is under way."""
        if self._reading is not None:
            self._reading.cancel()

    async def _refresh(self) -> StoreUnavailable | None:
        try:
            self._memory = measure(await self._read(), self.policy)
        except StoreUnavailable as error:
            return error
        except ResponseError:  # this Redis user may not read it: Redis itself refuses writes when it is full
            self._memory = Memory()
        self._read_at = time.monotonic()
        return None


def _mib(number: int) -> str:
    return f"{number / 2**20:,.1f} MiB"
