"""The clock of the deployment: all processes use the time of Redis, even on a machine whose clock is wrong.

It is a steady local clock plus a measured correction. The machine's wall clock is compared with the clock of Redis once
a second. While they differ by more than ``MOST_SKEW``, the process claims no work, is not ready, and logs
``clock_wrong``.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, runtime_checkable

from service.errors import StoreUnavailable
from service.observability import log, metrics
from service.repeating import repeating

#: A process claims no work while its machine's clock differs from the clock of Redis by more than this.
MOST_SKEW: Final = timedelta(seconds=2)
_EVERY_SECONDS: Final = 1.0
_UNMEASURED_SECONDS: Final = 0.1
#: CLOCK_BOOTTIME also counts while the machine is suspended. Not every system has it.
_STEADY: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

#: Returns the current time, with its time zone.
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time of this machine's wall clock."""
    return datetime.fromtimestamp(time.time(), UTC)


@runtime_checkable
class LocalClock(Protocol):
    """A local clock that can be compared with the clock of the store."""

    def __call__(self) -> datetime: ...

    def against(self, store_time: datetime) -> tuple[timedelta, timedelta]:
        """Return the correction of this clock, and how far the wall clock of the machine is ahead of the store."""


class SystemClock:
    """The wall clock at the start of the process, plus the time since. Later steps of the wall clock do not move it."""

    def __init__(self) -> None:
        self._offset = time.time() - time.clock_gettime(_STEADY)

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self._offset + time.clock_gettime(_STEADY), UTC)

    def against(self, store_time: datetime) -> tuple[timedelta, timedelta]:
        return store_time - self(), utc_now() - store_time

    def wall(self) -> datetime:
        return utc_now()


class StoreClock:
    """The time of the store, computed from a local clock. ``read`` returns the time of the store.

    A local clock that is a plain callable, as in tests, is not corrected.
    """

    def __init__(self, local: Callable[[], datetime], *, read: Callable[[], Awaitable[datetime]]) -> None:
        self._local = local
        self._read = read
        self._correction = timedelta()
        self._measured = False
        self._log = log.get(__name__)
        self.skew = timedelta()
        """How far the wall clock of the machine is ahead of the store; negative: behind."""
        self.wrong = False

    def __call__(self) -> datetime:
        return self._local() + self._correction

    def wall(self) -> datetime:
        """Return the uncorrected time of this machine."""
        wall: Callable[[], datetime] = getattr(self._local, "wall", self._local)
        return wall()

    def may_claim(self) -> bool:
        """Return False until the first measurement, and while the clock of the machine is wrong."""
        return self._measured and not self.wrong

    def state(self) -> str:
        """Return ``ok``, or a sentence that says what is wrong."""
        if not self._measured:
            return "The clock has not been compared with Redis' yet."
        return f"This machine's clock is {_described(self.skew)} Redis'." if self.wrong else "ok"

    async def measure(self) -> None:
        """Compare the clock with the store. Half of the round trip bounds the error of the measurement.

        The correction changes only if the measurement contradicts it by more than that error, so a slow response
        changes nothing.

        Raises:
            StoreUnavailable: the store did not respond; nothing has changed.

        """
        begun = time.monotonic()
        store_time = await self._read()
        error = timedelta(seconds=(time.monotonic() - begun) / 2)
        if isinstance(self._local, LocalClock):
            correction, self.skew = self._local.against(store_time + error)
            if abs(correction - self._correction) > error:
                self._correction = correction
        self._measured = True
        metrics.CLOCK_SKEW.set(self.skew.total_seconds())
        self._judge(wrong=abs(self.skew) - error > MOST_SKEW)

    def _judge(self, *, wrong: bool) -> None:
        if wrong and not self.wrong:
            self._log.error("clock_wrong", skew_seconds=self.skew.total_seconds())
        elif self.wrong and not wrong:
            self._log.warning("clock_right", skew_seconds=self.skew.total_seconds())
        self.wrong = wrong

    @contextlib.asynccontextmanager
    async def measuring(self) -> AsyncIterator[None]:
        """Measure now, then once a second; every 0.1 s until the store has responded for the first time."""
        with contextlib.suppress(StoreUnavailable):
            await self.measure()
        async with repeating(self._measure_later, name="clock", pause=0):
            yield

    async def _measure_later(self) -> None:
        await asyncio.sleep(_EVERY_SECONDS if self._measured else _UNMEASURED_SECONDS)
        await self.measure()


def _described(skew: timedelta) -> str:
    seconds = skew.total_seconds()
    return f"{abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'}"
