"""Retry schedules and poll intervals. Pure decisions: nothing here waits."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

Random = Callable[[], float]
"""Returns a number in [0, 1)."""
#: The product of a wait with a larger power of two can be more than a timedelta has.
_MOST_DOUBLINGS: Final = 16


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Waits before attempt 1, 2, 3, ... After the last: give up, or repeat the last wait (``forever``)."""

    delays: tuple[timedelta, ...]
    jitter: float = 0.2
    forever: bool = False

    def next(self, attempts: int, rng: Random = random.random) -> timedelta | None:
        """Return the wait after this many attempts; None: give up."""
        if attempts < len(self.delays):
            return spread(self.delays[attempts], self.jitter, rng)
        return spread(self.delays[-1], self.jitter, rng) if self.forever else None


@dataclass(frozen=True, slots=True)
class PollPolicy:
    """Poll intervals that grow with the age of a job and stay within the poll budget of the account."""

    shortest: timedelta
    longest: timedelta
    share: float
    """Wait as a share of the time since the submit: with 0.1 an end is noticed about 10 % late at most."""
    per_second: float
    """Polls per second of all jobs together. fal publishes no limit; the gateway sets one."""
    jitter: float = 0.1

    def next(self, elapsed: timedelta, in_flight: int, rng: Random = random.random, *, failures: int = 0) -> timedelta:
        """Return the wait before the next poll of one of ``in_flight`` jobs.

        ``failures``: polls or cancel calls in a row without usable response. Each doubles the wait, up to ``longest``.
        """
        own = (
            self.shortest * 2 ** min(failures, _MOST_DOUBLINGS)
            if failures
            else max(elapsed * self.share, self.shortest)
        )
        affordable = timedelta(seconds=in_flight / self.per_second)
        return spread(max(min(own, self.longest), affordable), self.jitter, rng)


def spread(delay: timedelta, jitter: float, rng: Random) -> timedelta:
    return delay * (1 + jitter * (2 * rng() - 1))
