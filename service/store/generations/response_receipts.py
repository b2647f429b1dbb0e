"""Whether callers got their answers: kept beside a created generation until its answer has been sent."""

from datetime import datetime, timedelta

from service.domain import ids
from service.store import keys
from service.store.redis.client import Redis


class ResponseReceiptStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def delivered(self, tenant_id: str, digest: str, generation_id: str) -> None:
        await self._redis.execute("ZREM", keys.unanswered(tenant_id, digest), generation_id)

    async def lost(self, tenant_id: str, digest: str, generation_id: str, *, window: timedelta) -> None:
        """The next equal call is answered with this generation, if it comes within the window."""
        await self._mark(tenant_id, digest, generation_id, 0, window)

    async def prolong(
        self, tenant_id: str, digest: str, generation_id: str, *, until: datetime, window: timedelta
    ) -> None:
        """Its answer is still under way."""
        await self._mark(tenant_id, digest, generation_id, ids.milliseconds(until), window)

    async def _mark(self, tenant_id: str, digest: str, generation_id: str, score: int, window: timedelta) -> None:
        key, kept = keys.unanswered(tenant_id, digest), int(window.total_seconds() * 1000)
        await self._redis.gather((("ZADD", key, "XX", score, generation_id), ("PEXPIRE", key, kept)))
