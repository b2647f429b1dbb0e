"""Retry schedules as visible lists, and polling intervals as one formula. Decisions only: nothing here waits."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

Chance = Callable[[], float]
"""Answers a number in [0, 1)."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Waits before attempt 1, 2, 3, ...; after the last one it gives up, or goes on at the last pace (``forever``)."""

    delays: tuple[timedelta, ...]
    jitter: float = 0.2
    forever: bool = False

    def next(self, attempts: int, chance: Chance = random.random) -> timedelta | None:
        """How long to wait after this many attempts were made; None: give up."""
        if attempts < len(self.delays):
            return spread(self.delays[attempts], self.jitter, chance)
        return spread(self.delays[-1], self.jitter, chance) if self.forever else None


@dataclass(frozen=True, slots=True)
class PollPolicy:
    """The longer a job runs the less often it is polled, and never faster than the account's polls allow."""

    shortest: timedelta
    longest: timedelta
    share: float
    """The wait as a share of the time since the submit: 0.1 notices an end at most about 10 % late."""
    per_second: float
    """Polls per second for everything in flight together; fal publishes no limit, so we keep one."""
    jitter: float = 0.1

    def next(
        self, elapsed: timedelta, in_flight: int, chance: Chance = random.random, *, failures: int = 0
    ) -> timedelta:
        """The wait before the next poll of one of ``in_flight`` jobs.

        ``failures``: polls or cancels in a row that brought no usable answer; each doubles the wait, up to the longest.
        """
        by_age = min(max(elapsed * self.share, self.shortest), self.longest)
        by_failures = min(self.shortest * 2 ** min(failures, 16), self.longest) if failures else timedelta()
        affordable = timedelta(seconds=in_flight / self.per_second)
        return spread(max(by_age if not failures else by_failures, affordable), self.jitter, chance)


def spread(delay: timedelta, jitter: float, chance: Chance) -> timedelta:
    return delay * (1 + jitter * (2 * chance() - 1))
