"""The rate limiter: calls per minute and tenant. It fails open: a limiter that is away must not stop the work."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from service.domain.tenant import Limits
from service.errors import StoreUnavailable
from service.observability import metrics
from service.store import keys
from service.store.redis.client import Redis, Script

_LIMIT: Final = Script("limit")
_MINUTE: Final = 60_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class RateLimitResult:
    """What the caller is told: its quota a minute, what is left of it, and when it is whole again."""

    allowed: bool
    per_minute: int
    burst: int
    left: int
    retry_after: timedelta
    whole_in: timedelta


class RateLimiter:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def check(self, tenant_id: str, limits: Limits, now: datetime) -> RateLimitResult | None:
        """Count one call. None: there is no limit, or nobody to ask."""
        if limits.requests_per_minute is None:
            return None
        burst = limits.burst or max(1, limits.requests_per_minute // 10)
        gap = _MINUTE // limits.requests_per_minute
        try:
            allowed, left, wait, whole = await self._redis.run(
                _LIMIT, [keys.rate(tenant_id)], int(now.timestamp() * 1e6), gap, burst, replicated=False
            )
        except StoreUnavailable:
            metrics.RATE_LIMITER_UNAVAILABLE.inc()
            return None
        return RateLimitResult(
            bool(allowed),
            limits.requests_per_minute,
            burst,
            left,
            timedelta(microseconds=wait),
            timedelta(microseconds=whole),
        )
