"""Bytes that each tenant stores in Redis, estimated from samples in the background."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from redis.exceptions import ResponseError

from service.domain.budgets import day
from service.store import keys
from service.store.redis.client import Redis, Script

_ESTIMATE: Final = Script("stored_bytes")
#: Random generations, and random deliveries, that one estimate weighs.
_SAMPLES: Final = 8
#: Days for which usage and money are stored.
_DAYS: Final = keys.MONEY_RETENTION_SECONDS // (24 * 3600)
#: Tenants whose earlier days a process remembers.
_MOST_REMEMBERED: Final = 20_000


class StoredBytesStore:
    """Estimates of tenants. A process reads the earlier days of a tenant once a day: they hardly change."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._earlier: dict[str, tuple[str, int]] = {}
        """By tenant: the day of the reading, and the bytes of all days before it."""

    async def take_turn(self, every: timedelta) -> bool:
        """Return whether this process is to sample now: one process does, in each interval."""
        milliseconds = int(every.total_seconds() * 1000)
        taken = await self._redis.execute("SET", keys.STORED_BYTES_TURN, 1, "NX", "PX", milliseconds, replicated=False)
        return taken is not None

    async def tenants(self, *, after: str, limit: int) -> list[str]:
        """Return ids of tenants in order; ``after`` is the last one of the page before, or ``""``."""
        lower = f"({after}" if after else "-"
        found = await self._redis.execute("ZRANGEBYLEX", keys.TENANTS, lower, "+", "LIMIT", 0, limit)
        return [name.decode() for name in found]

    async def largest(self, most: int) -> list[tuple[str, int]]:
        """Return the tenants that store most, with their bytes, the largest first."""
        found = await self._redis.execute("ZREVRANGE", keys.STORED_BYTES, 0, most - 1, "WITHSCORES")
        return [(name.decode(), int(float(size))) for name, size in zip(found[::2], found[1::2], strict=True)]

    async def sample(self, tenant_ids: Sequence[str], now: datetime) -> dict[str, int]:
        """Estimate the bytes of these tenants now; ``{}``: this Redis does not reveal the size of a key."""
        try:
            sizes = await asyncio.gather(*(self._estimate(tenant_id, now) for tenant_id in tenant_ids))
        except ResponseError:
            return {}
        return dict(zip(tenant_ids, sizes, strict=True))

    async def write(self, sizes: dict[str, int]) -> None:
        """Record estimates. A tenant that stores nothing any more is removed."""
        gone = [tenant_id for tenant_id, size in sizes.items() if not size]
        pairs = [value for tenant_id, size in sizes.items() if size for value in (size, tenant_id)]
        if pairs:
            await self._redis.execute("ZADD", keys.STORED_BYTES, *pairs, replicated=False)
        if gone:
            await self._redis.execute("ZREM", keys.STORED_BYTES, *gone, replicated=False)

    async def _estimate(self, tenant_id: str, now: datetime) -> int:
        today = day(now)
        known = self._earlier.get(tenant_id)
        if known is None or known[0] != today:
            if len(self._earlier) >= _MOST_REMEMBERED:
                self._earlier.clear()
            dates = [day(now - timedelta(days=number)) for number in range(1, _DAYS + 1)]
            known = self._earlier[tenant_id] = today, (await self._run(tenant_id, dates))[1]
        return sum(await self._run(tenant_id, [today])) + known[1]

    async def _run(self, tenant_id: str, dates: Sequence[str]) -> tuple[int, int]:
        usage_prefix, _, end_users_suffix = keys.usage_of_end_users(tenant_id, "*").partition("*")
        stored, of_days = await self._redis.read(
            _ESTIMATE,
            {
                "tenant_generations": keys.generations_of_tenant(tenant_id),
                "tenant_generation_terms": keys.generation_terms_of_tenant(tenant_id),
                "tenant_deliveries": keys.deliveries_of_tenant(tenant_id),
            },
            {
                "samples": _SAMPLES,
                "generation_prefix": keys.generation(""),
                "delivery_prefix": keys.delivery(""),
                "event_prefix": keys.event(""),
                "usage_prefix": usage_prefix,
                "end_users_suffix": end_users_suffix,
                "days": dates,
            },
        )
        return stored, of_days
