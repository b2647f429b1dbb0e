"""Whether the process can serve requests. A response has states only; the log has the reasons."""

from typing import Final, Literal

from service.clock import StoreClock
from service.observability import log
from service.store.redis.client import Redis
from service.store.redis.health import OK, TOLERATED, check

State = Literal["ok", "failing"]


class Readiness:
    """Runs the checks, and logs each change of their results."""

    def __init__(self, redis: Redis, clock: StoreClock) -> None:
        self._redis: Final = redis
        self._clock: Final = clock
        self._failing: dict[str, str] = {}

    async def check(self) -> dict[str, State]:
        """Return the state of each check."""
        results = {**await check(self._redis), "clock": self._clock.state()}
        self._log_changes({name: reason for name, reason in results.items() if reason != OK})
        return {name: "ok" if result == OK else "failing" for name, result in results.items()}

    def of_process(self) -> bool:
        """Return whether this process and its machine are ready. Asks nothing of Redis.

        The clock is compared with Redis' at the start, so a process that has never reached Redis is not ready.
        """
        return self._clock.state() == OK

    def _log_changes(self, failing: dict[str, str]) -> None:
        """Log by name: a reason has figures, which are others in each check."""
        if failing.keys() != self._failing.keys():
            if failing:
                log.get(__name__).warning("readiness_failing", checks=failing)
            else:
                log.get(__name__).info("readiness_restored")
        self._failing = failing


def is_ready(states: dict[str, State]) -> bool:
    """Return whether the process stays in rotation: some checks may fail."""
    return all(state == "ok" or name in TOLERATED for name, state in states.items())
