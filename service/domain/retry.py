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
    """The longer a job runs the less often it is asked for, and never faster than the account's polls allow."""

    shortest: timedelta
    longest: timedelta
    share: float
    """The wait as a share of the time since the submit: 0.1 notices an end at most about 10 % late."""
    per_second: float
    """Polls per second for everything in flight together; fal publishes no limit, so we keep one."""
    jitter: float = 0.1

    def next(self, elapsed: timedelta, in_flight: int, chance: Chance = random.random) -> timedelta:
        wanted = min(max(elapsed * self.share, self.shortest), self.longest)
        affordable = timedelta(seconds=in_flight / self.per_second)
        return spread(max(wanted, affordable), self.jitter, chance)

    def after_trouble(self, troubles: int, chance: Chance = random.random) -> timedelta:
        """Upstream trouble in a row: double from the shortest to the longest."""
        return spread(min(self.shortest * 2 ** min(troubles, 16), self.longest), self.jitter, chance)


def spread(delay: timedelta, jitter: float, chance: Chance) -> timedelta:
    return delay * (1 + jitter * (2 * chance() - 1))
