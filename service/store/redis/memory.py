"""The memory of Redis: used bytes, their limit, and whether anything new is accepted.

Above a share of the limit creates are refused. The rest of the memory is for accepted generations: their ends,
callbacks, request ids and webhooks.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from redis.exceptions import ResponseError

from service.errors import StoreFull, StoreUnavailable

#: A reading older than this is renewed in the background while it is used: frequent creates never wait for a reading.
_FRESH_SECONDS: Final = 0.5
#: A reading older than this is not used: the next create waits for a new one.
_STALE_SECONDS: Final = 1.0

Source = Literal["maxmemory", "GATEWAY_REDIS_MEMORY_LIMIT", "the machine's memory", "unknown"]


@dataclass(frozen=True, slots=True)
class MemoryPolicy:
    """``limit``: bytes, if Redis has no ``maxmemory``. ``create_share``: share of the limit above which creates end."""

    limit: int | None = None
    create_share: float = 0.85


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

    async def demand_room(self) -> None:
        """Do nothing if new records are accepted.

        Raises:
            StoreFull: Redis is nearly full.

        """
        if await self.refuses_creates():
            raise StoreFull(f"Redis is nearly full and accepts nothing new: {self._memory.summary}.")

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
