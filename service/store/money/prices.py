"""Successes in a row that were billed other units than expected, by resolution.

The name of a resolution is ``720p`` for the default model, and ``720p of <id>`` for another one.
"""

from collections.abc import Mapping

from service.store import keys
from service.store.redis.client import Redis


class PriceStore:
    """Counts price mismatches by resolution."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def count_mismatch(self, resolution: str) -> int:
        """Count one more mismatch; return how many there are in a row now."""
        return int(await self._redis.execute("HINCRBY", keys.PRICE_MISMATCHES, resolution, 1))

    async def reset(self, resolution: str) -> None:
        """Set the count to zero, after a success with the expected price."""
        await self._redis.execute("HDEL", keys.PRICE_MISMATCHES, resolution)

    async def mismatches(self) -> Mapping[str, int]:
        """Return the counts; resolutions without a mismatch are absent."""
        found = await self._redis.execute("HGETALL", keys.PRICE_MISMATCHES)
        return {name.decode(): int(count) for name, count in zip(found[::2], found[1::2], strict=True)}
