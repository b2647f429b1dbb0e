"""What fal has of us, or may have: its request ids that are ours, and generations whose submit is in doubt."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from service.domain import ids
from service.domain.status import Status
from service.store import keys
from service.store.queues.due import claimed
from service.store.redis.client import Redis

_IN_DOUBT: Final = frozenset({Status.SUBMITTING.encode(), Status.UNCONFIRMED.encode()})
_AT_ONCE: Final = 1000


class SubmissionStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def ours(self, request_ids: Sequence[str]) -> set[str]:
        """Those of them that are known to be ours."""
        pages = [request_ids[start : start + _AT_ONCE] for start in range(0, len(request_ids), _AT_ONCE)]
        scores = await self._redis.gather(("ZMSCORE", keys.SUBMITTED, *page) for page in pages)
        return {
            name
            for page, found in zip(pages, scores, strict=True)
            for name, score in zip(page, found, strict=True)
            if score is not None
        }

    async def in_doubt(self) -> list[str]:
        """Generations that are being submitted, or were with an unknown outcome."""
        slots, unconfirmed = await self._redis.gather(
            (("SMEMBERS", keys.SLOTS), ("ZRANGE", keys.UNCONFIRMED, 0, -1))  # an unconfirmed one may have no slot left
        )
        names = [name.decode() for name in dict.fromkeys((*unconfirmed, *slots))]
        statuses = await self._redis.gather(("HGET", keys.generation(name), "s") for name in names)
        return [name for name, status in zip(names, statuses, strict=True) if status in _IN_DOUBT]

    async def given_up(self) -> list[tuple[str, datetime]]:
        """Generations that ended in doubt, and when each was submitted."""
        pairs = await self._redis.execute("ZRANGE", keys.GIVEN_UP, 0, -1, "WITHSCORES")
        return [(item.id, item.due_at) for item in claimed(pairs)]

    async def mark_lost(self, generation_id: str, now: datetime) -> None:
        """Tell operators that a generation is given up although fal may have billed its video."""
        await self._redis.execute("ZADD", keys.PAID_AND_LOST, "NX", ids.milliseconds(now), generation_id)

    async def unmark_lost(self, generation_id: str) -> None:
        await self._redis.execute("ZREM", keys.PAID_AND_LOST, generation_id)

    async def trim(self, before: datetime) -> None:
        """Forget what was submitted before. It waits for no replica: what a failover brings back is trimmed again."""
        bound = f"({ids.milliseconds(before)}"
        commands = [("ZREMRANGEBYSCORE", key, "-inf", bound) for key in (keys.SUBMITTED, keys.GIVEN_UP)]
        await self._redis.gather(commands, replicated=False)
