"""Successes in a row that were billed other units than expected, by resolution."""

from collections.abc import Mapping

from service.domain.request import Resolution
from service.store import keys
from service.store.redis.client import Redis


class PriceStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def count_mismatch(self, resolution: Resolution) -> int:
        """Add one; return how many there are in a row now."""
        return int(await self._redis.execute("HINCRBY", keys.PRICE_MISMATCHES, resolution, 1))

    async def reset(self, resolution: Resolution) -> None:
        await self._redis.execute("HDEL", keys.PRICE_MISMATCHES, resolution)

    async def mismatches(self) -> Mapping[str, int]:
        """Resolutions without a mismatch are absent."""
        found = await self._redis.execute("HGETALL", keys.PRICE_MISMATCHES)
        return {name.decode(): int(count) for name, count in zip(found[::2], found[1::2], strict=True)}
