"""Limiter of the reads below ``/fal``, which have a limit of their own.

fal's Python client reads the status of each of its requests ten times a second. So every request may be read at a
multiple of that pace, and all requests of a tenant together at a rate that leaves the process to the other tenants.
Reads are counted in the memory of each process: a count in Redis would cost as much as the read itself.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from service.store.tenants.rates import RateLimitResult

_MOST_BUCKETS: Final = 50_000
_MINUTE: Final = 60_000_000  # microseconds


class ReadLimiter:
    def __init__(self, *, per_request: int, per_tenant: int, clock: Callable[[], datetime]) -> None:
        """Both limits are reads per minute, of which a tenth may come at once."""
        self._requests = _Buckets(per_request)
        self._tenants = _Buckets(per_tenant)
        self._clock = clock

    def check(self, tenant_id: str, request_id: str) -> RateLimitResult:
        """Count one read. The result is that of the request's limit, unless the tenant's own limit refuses the read."""
        now_us = int(self._clock().timestamp() * 1e6)
        of_request = self._requests.take((tenant_id, request_id), now_us)
        if not of_request.allowed:
            return of_request
        of_tenant = self._tenants.take((tenant_id, ""), now_us)
        return of_request if of_tenant.allowed else of_tenant


class _Buckets:
    """One bucket for each key, by the algorithm of ``limit.lua``: the time at which all reads so far would be due."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._burst = max(1, per_minute // 10)
        self._interval_us = _MINUTE // per_minute
        self._due: dict[tuple[str, str], int] = {}

    def take(self, key: tuple[str, str], now_us: int) -> RateLimitResult:
        due = max(self._due.get(key, 0), now_us)
        after = due + self._interval_us
        wait = after - self._burst * self._interval_us - now_us
        if wait > 0:
            return self._result(allowed=False, left=0, wait=wait, complete_in=due - now_us)
        self._due[key] = after
        if len(self._due) > _MOST_BUCKETS:
            self._forget_full(now_us)
        return self._result(allowed=True, left=-wait // self._interval_us, wait=0, complete_in=after - now_us)

    def _result(self, *, allowed: bool, left: int, wait: int, complete_in: int) -> RateLimitResult:
        return RateLimitResult(
            allowed,
            self._per_minute,
            self._burst,
            left,
            timedelta(microseconds=wait),
            timedelta(microseconds=complete_in),
            bucket="reads",
        )

    def _forget_full(self, now_us: int) -> None:
        """Drop the buckets that are full again; all, if that is too few to pay for the pass."""
        self._due = {key: due for key, due in self._due.items() if due > now_us}
        if len(self._due) > _MOST_BUCKETS // 2:
            self._due.clear()
