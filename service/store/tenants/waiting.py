"""Tenants by the age of their oldest queued generation, sampled in the background."""

from collections.abc import Sequence
from typing import Final

from service.store import keys
from service.store.redis.client import Redis, Script

_SAMPLE: Final = Script("sample_waiting")
#: Tenants that one script reads: Redis serves no other client meanwhile.
_SLICE: Final = 100


class WaitingTenantStore:
    """Samples and reads the list."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def oldest(self, most: int) -> list[str]:
        """Return the tenants whose work waits longest, the oldest first."""
        found = await self._redis.execute("ZRANGE", keys.WAITING_TENANTS, 0, most - 1)
        return [name.decode() for name in found]

    async def sample(self, tenant_ids: Sequence[str]) -> None:
        """Record the oldest queued generations of these tenants."""
        for start in range(0, len(tenant_ids), _SLICE):
            await self._redis.run(
                _SAMPLE,
                {"waiting_tenants": keys.WAITING_TENANTS},
                {"tenant_prefix": keys.tenant(""), "tenants": tenant_ids[start : start + _SLICE]},
                replicated=False,
            )
