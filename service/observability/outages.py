"""One log line when a server becomes unavailable, and one when it is available again.

Every exchange with the server fails meanwhile, some of them four times a second: a line for each would fill a disk.
"""

import time
from collections.abc import Callable
from typing import Any, Final, Literal

from service.errors import StoreUnavailable
from service.observability import log
from service.observability.causes import cause

#: The begin of a further outage is logged after this time at the earliest: a server may fail every other exchange.
_SETTLED_SECONDS: Final = 10.0
_EVENTS: Final = {
    "redis": ("redis_unavailable", "redis_available"),
    "broker": ("broker_unavailable", "broker_available"),
}
Server = Literal["redis", "broker"]


class OutageLog:
    def __init__(self, server: Server, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._begin, self._end = _EVENTS[server]
        self._clock = clock
        self._log = log.get(__name__)
        self._since: float | None = None
        self._logged_at: float | None = None
        self._is_logged = False

    @property
    def is_open(self) -> bool:
        """Whether the last exchange failed."""
        return self._since is not None

    def failed(self, error: BaseException, **fields: Any) -> None:
        """Note a failed exchange."""
        now = self._clock()
        if self._since is None:
            self._since = now
        if self._is_logged or (self._logged_at is not None and now - self._logged_at < _SETTLED_SECONDS):
            return
        self._is_logged, self._logged_at = True, now
        self._log.warning(self._begin, error=type(error).__name__, cause=cause(error), **fields)

    def succeeded(self) -> None:
        """Note an exchange that was completed. Without an open outage this has no effect."""
        if self._since is None:
            return
        if self._is_logged:
            self._log.warning(self._end, seconds=round(self._clock() - self._since, 1))
        self._since, self._is_logged = None, False


def log_store_failure(logger: Any, error: StoreUnavailable, **fields: Any) -> None:
    """Log an operation that Redis refused. While Redis is unreachable, its client has logged that once."""
    write = logger.debug if error.is_outage else logger.warning
    write("redis_refused", error=error.detail, **fields)
