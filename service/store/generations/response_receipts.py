"""Receipts of responses: whether the client of a create request has received its generation's id."""

from datetime import datetime, timedelta
from typing import Final

from service.domain import ids
from service.store import keys
from service.store.generations.creation import delivered_score
from service.store.redis.client import Redis
from service.store.times import milliseconds

#: Entries of one digest: a program may send the same request any number of times.
_MOST_KEPT: Final = 32


class ResponseReceiptStore:
    """Responses that are not delivered yet, by the digest of their request.

    Of clients that mark a repeat, delivered ones are kept too: a proxy may have lost them.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def first_until(self, tenant_id: str, digest: str) -> int | None:
        """Return until when (ms) the first response to end is being sent; 0: it is lost; None: none is being sent."""
        found = await self._redis.execute("ZRANGE", keys.undelivered_responses(tenant_id, digest), 0, 0, "WITHSCORES")
        return int(found[1]) if found else None

    async def delivered(self, tenant_id: str, digest: str, generation_id: str) -> None:
        """Record that the response was sent."""
        await self._redis.execute("ZREM", keys.undelivered_responses(tenant_id, digest), generation_id)

    async def delivered_unless_repeated(
        self, tenant_id: str, digest: str, generation_id: str, *, now: datetime, window: timedelta
    ) -> None:
        """Record that the response was sent: a marked repeat within the window returns this generation."""
        key = keys.undelivered_responses(tenant_id, digest)
        score = delivered_score(ids.milliseconds(now))
        await self._redis.gather(
            (
                ("ZADD", key, "XX", score, generation_id),
                ("ZREMRANGEBYRANK", key, _MOST_KEPT, -1),
                ("PEXPIRE", key, milliseconds(window)),
            )
        )

    async def lost(self, tenant_id: str, digest: str, generation_id: str, *, window: timedelta) -> None:
        """Record that the response was lost: the next equal request within the window returns this generation."""
        await self._mark(tenant_id, digest, generation_id, 0, window)

    async def prolong(
        self, tenant_id: str, digest: str, generation_id: str, *, until: datetime, window: timedelta
    ) -> None:
        """Record that the response is still being sent."""
        await self._mark(tenant_id, digest, generation_id, ids.milliseconds(until), window)

    async def _mark(self, tenant_id: str, digest: str, generation_id: str, score: int, window: timedelta) -> None:
        key = keys.undelivered_responses(tenant_id, digest)
        await self._redis.gather((("ZADD", key, "XX", score, generation_id), ("PEXPIRE", key, milliseconds(window))))
