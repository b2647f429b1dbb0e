"""Jobs that fal has or may have: its request ids of this deployment, and generations with an unknown outcome."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from service.domain import ids
from service.domain.status import Status
from service.store import keys
from service.store.redis.client import Redis
from service.store.redis.scan import members, scores

_IN_DOUBT: Final = frozenset({Status.SUBMITTING.encode(), Status.UNCONFIRMED.encode()})
_AT_ONCE: Final = 1000


class SubmissionStore:
    """Reads and marks jobs that fal has or may have."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def find_known(self, request_ids: Sequence[str]) -> set[str]:
        """Return those of fal's request ids that belong to this deployment."""
        pages = [request_ids[start : start + _AT_ONCE] for start in range(0, len(request_ids), _AT_ONCE)]
        scores = await self._redis.gather(("ZMSCORE", keys.FAL_REQUEST_IDS, *page) for page in pages)
        return {
            name
            for page, found in zip(pages, scores, strict=True)
            for name, score in zip(page, found, strict=True)
            if score is not None
        }

    async def in_doubt(self) -> list[str]:
        """Return generations that are being submitted, or were submitted with an unknown outcome."""
        unconfirmed = await scores(self._redis, keys.UNCONFIRMED)  # it may hold no slot any more
        names = list(dict.fromkeys((*unconfirmed, *await members(self._redis, keys.SLOTS))))
        statuses = await self._redis.gather(("HGET", keys.generation(name), "s") for name in names)
        return [name for name, status in zip(names, statuses, strict=True) if status in _IN_DOUBT]

    async def given_up(self) -> list[tuple[str, datetime]]:
        """Return generations that ended unconfirmed, and the time of their submit."""
        found = sorted((score, name) for name, score in (await scores(self._redis, keys.GIVEN_UP)).items())
        return [(name, ids.from_milliseconds(int(score))) for score, name in found]

    async def mark_lost(self, generation_id: str, now: datetime) -> None:
        """Mark a given-up generation whose video fal may have billed, for operators."""
        await self._redis.execute("ZADD", keys.PAID_AND_LOST, "NX", ids.milliseconds(now), generation_id)

    async def unmark_lost(self, generation_id: str) -> None:
        """Remove the mark."""
        await self._redis.execute("ZREM", keys.PAID_AND_LOST, generation_id)

    async def trim(self, before: datetime) -> None:
        """Delete entries of submits before a time, page by page: after an outage there may be many.

        It waits for no replica: entries that a failover brings back are trimmed again.
        """
        bound = f"({ids.milliseconds(before)}"
        for key in (keys.FAL_REQUEST_IDS, keys.GIVEN_UP):
            old = await self._redis.execute("ZRANGEBYSCORE", key, "-inf", bound, "LIMIT", 0, _AT_ONCE)
            while old:
                await self._redis.execute("ZREM", key, *old, replicated=False)
                old = await self._redis.execute("ZRANGEBYSCORE", key, "-inf", bound, "LIMIT", 0, _AT_ONCE)
