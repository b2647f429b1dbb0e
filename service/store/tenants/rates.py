"""The rate limiter: calls per minute of each tenant. It fails open: an unavailable limiter must not stop the work."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from service.domain.tenant import Limits
from service.errors import StoreUnavailable
from service.observability import metrics
from service.store import keys
from service.store.redis.client import Redis, Script

_LIMIT: Final = Script("limit")
_MINUTE: Final = 60_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class RateLimitResult:
    """Result of one check, for the response: the quota per minute, what is left, and when it is complete again."""

    allowed: bool
    per_minute: int
    burst: int
    left: int
    retry_after: timedelta
    whole_in: timedelta
    bucket: Literal["calls", "reads"] = "calls"
    """Name of the limit in the headers of the response."""


class RateLimiter:
    """Counts calls of tenants."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def check(self, tenant_id: str, limits: Limits, now: datetime) -> RateLimitResult | None:
        """Count one call. None: the tenant has no limit, or Redis is unavailable."""
        if limits.requests_per_minute is None:
            return None
        burst = limits.burst or max(1, limits.requests_per_minute // 10)
        interval = _MINUTE // limits.requests_per_minute
        try:
            allowed, left, wait, complete_in = await count(
                self._redis, keys.rate_limit(tenant_id), now, interval_us=interval, burst=burst
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
            timedelta(microseconds=complete_in),
        )


async def count(redis: Redis, key: str, now: datetime, *, interval_us: int, burst: int) -> tuple[int, int, int, int]:
    """Count one call, as limit.lua describes. Returns whether it is allowed, and what that script returns with it."""
    allowed, left, wait, complete_in = await redis.run(
        _LIMIT,
        {"rate_limit": key},
        {"now_us": int(now.timestamp() * 1e6), "interval_us": interval_us, "burst": burst},
        replicated=False,
    )
    return allowed, left, wait, complete_in
