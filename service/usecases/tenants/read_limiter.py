"""Limiter of the reads below ``/fal``, which have a limit of their own.

fal's Python client reads the status of each of its requests ten times a second. So every request may be read at a
multiple of that pace, and all requests of a tenant together at a rate that leaves the process to the other tenants.
Reads are counted in the memory of each process: a count in Redis would cost as much as the read itself.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

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
        state = self._requests.take((tenant_id, request_id), now_us)
        if state.wait_us:
            return self._requests.result(state)
        of_tenant = self._tenants.take((tenant_id, ""), now_us)
        return self._tenants.result(of_tenant) if of_tenant.wait_us else self._requests.result(state)


class _State(NamedTuple):
    """A bucket after a read, in microseconds. Cheaper than a result, which only one of two buckets makes."""

    left_us: int
    wait_us: int
    """Until the read would be allowed; 0 if it is."""
    complete_in_us: int


class _Buckets:
    """One bucket for each key, by the algorithm of ``limit.lua``: the time at which all reads so far would be due."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._burst = max(1, per_minute // 10)
        self._interval_us = _MINUTE // per_minute
        self._burst_us = self._burst * self._interval_us
        self._due: dict[tuple[str, str], int] = {}

    def take(self, key: tuple[str, str], now_us: int) -> _State:
        due = max(self._due.get(key, 0), now_us)
        after = due + self._interval_us
        left_us = now_us + self._burst_us - after
        if left_us < 0:
            return _State(0, -left_us, due - now_us)
        self._due[key] = after
        if len(self._due) > _MOST_BUCKETS:
            self._forget_full(now_us)
        return _State(left_us, 0, after - now_us)

    def result(self, state: _State) -> RateLimitResult:
        return RateLimitResult(
            not state.wait_us,
            self._per_minute,
            self._burst,
            state.left_us // self._interval_us,
            timedelta(microseconds=state.wait_us),
            timedelta(microseconds=state.complete_in_us),
            bucket="reads",
        )

    def _forget_full(self, now_us: int) -> None:
        """Drop the buckets that are full again; all, if that is too few to pay for the pass."""
        self._due = {key: due for key, due in self._due.items() if due > now_us}
        if len(self._due) > _MOST_BUCKETS // 2:
            self._due.clear()
