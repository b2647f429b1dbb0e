"""Progress and result of the periodic verification of the audit trail's chain."""

from datetime import timedelta

from service.domain.chain import Verified
from service.store import keys
from service.store.redis.client import Redis


class TrailCheckStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def take_turn(self, every: timedelta) -> bool:
        """Return whether this process is to continue the verification now: one process does, in each interval."""
        milliseconds = every // timedelta(milliseconds=1)
        taken = await self._redis.execute("SET", keys.TRAIL_CHECK_TURN, 1, "NX", "PX", milliseconds, replicated=False)
        return taken is not None

    async def verified(self) -> tuple[Verified, int]:
        """Return how far the periodic verification has come, and the breaks that it has found on its way."""
        position, number, last, breaks = await self._redis.execute(
            "HMGET", keys.TRAIL_CHECK, "position", "n", "h", "breaks"
        )
        if not position:
            return Verified(), int(breaks or 0)
        return Verified(position.decode(), int(number), last.decode()), int(breaks or 0)

    async def keep_verified(self, at: Verified, breaks: int, *, finished: bool) -> None:
        """Keep how far the verification has come. ``finished``: ``breaks`` are all there are."""
        values: list[str | int] = ["position", at.position, "n", at.number, "h", at.hash, "breaks", breaks]
        if finished:
            values = ["position", "", "breaks", 0, "last_breaks", breaks]
        await self._redis.execute("HSET", keys.TRAIL_CHECK, *values, replicated=False)

    async def breaks(self) -> int:
        """Return the breaks of the last finished verification, or of the running one if it has found more."""
        found = await self._redis.execute("HMGET", keys.TRAIL_CHECK, "breaks", "last_breaks")
        return max(int(each or 0) for each in found)
