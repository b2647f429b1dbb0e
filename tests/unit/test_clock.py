"""The corrected clock: what a measurement moves, what counts as wrong, and what is logged."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from service.clock import StoreClock, SystemClock
from service.errors import StoreUnavailable
from tests.support.factories import NOW, Clock

SECOND = timedelta(seconds=1)


class Local:
    """A local clock ``ahead`` of the store's, which stands at NOW."""

    def __init__(self, ahead: timedelta) -> None:
        self.ahead = ahead

    def __call__(self) -> datetime:
        return NOW + self.ahead

    def against(self, store_time: datetime) -> tuple[timedelta, timedelta]:
        return store_time - self(), self() - store_time


def answering(seconds: float = 0) -> Callable[[], Awaitable[datetime]]:
    """A store that responds after this delay, with its time in the middle of it."""

    async def read() -> datetime:
        await asyncio.sleep(seconds)
        return NOW - timedelta(seconds=seconds / 2)

    return read


async def unavailable() -> datetime:
    raise StoreUnavailable("unavailable")


@pytest.mark.parametrize("ahead", [timedelta(hours=3), timedelta(hours=-1), timedelta(days=31), 1.5 * SECOND])
async def test_clock_measured_equals_store_time(ahead: timedelta) -> None:
    clock = StoreClock(Local(ahead), read=answering())
    await clock.measure()
    assert abs(clock() - NOW) < SECOND
    assert abs(clock.skew - ahead) < SECOND


@pytest.mark.parametrize(
    ("ahead", "may_claim"),
    [(0, True), (1.9, True), (-1.9, True), (2.5, False), (-2.5, False), (10_800, False), (-3600, False)],
)
async def test_clock_wrong_claims_nothing(ahead: float, may_claim: bool) -> None:
    clock = StoreClock(Local(timedelta(seconds=ahead)), read=answering())
    assert not clock.may_claim(), "before the first measurement"
    await clock.measure()
    assert clock.may_claim() is may_claim
    assert (clock.state() == "ok") is may_claim


async def test_clock_error_bound_moves_nothing() -> None:
    """A difference within the round trip is no difference."""
    local = Local(timedelta(seconds=0.1))
    clock = StoreClock(local, read=answering(0.5))
    await clock.measure()
    assert clock() == local(), "a difference of a quarter of a second proves nothing"


async def test_clock_store_unavailable_keeps_correction() -> None:
    local = Local(timedelta(hours=3))
    clock = StoreClock(local, read=answering())
    await clock.measure()
    before = clock()
    clock._read = unavailable
    with pytest.raises(StoreUnavailable):
        await clock.measure()
    assert (clock(), clock.may_claim()) == (before, False)


async def test_clock_follows_a_store_that_steps() -> None:
    """After a failover to a machine with another clock, the deployment's time is the store's."""
    clock = StoreClock(Local(timedelta()), read=answering())
    await clock.measure()

    async def read() -> datetime:
        return NOW + timedelta(hours=1)

    clock._read = read
    await clock.measure()
    assert (abs(clock() - NOW - timedelta(hours=1)) < SECOND, clock.may_claim()) == (True, False)


async def test_clock_unmeasured_at_open_recovers() -> None:
    """A store that is unavailable at the start causes no failure; the first response sets the correction."""
    clock = StoreClock(Local(timedelta()), read=unavailable)
    async with clock.measuring():
        assert (clock.may_claim(), clock.state() == "ok") == (False, False)
        answered = asyncio.Event()

        async def read() -> datetime:
            answered.set()
            return NOW

        clock._read = read
        async with asyncio.timeout(20):
            await answered.wait()
        assert clock.may_claim()


async def test_clock_logs_each_change_once(capfd: pytest.CaptureFixture[str]) -> None:
    local = Local(timedelta())
    clock = StoreClock(local, read=answering())
    for ahead in (0, 3, 3, 3, 0, 0, -5, -5):
        local.ahead = timedelta(hours=ahead)
        await clock.measure()
    lines = capfd.readouterr().err.splitlines()
    events = [name for line in lines for name in ("clock_wrong", "clock_right") if name in line]
    assert events == ["clock_wrong", "clock_right", "clock_wrong"]


async def test_wall_step_leaves_system_clock_steady(monkeypatch: pytest.MonkeyPatch) -> None:
    local = SystemClock()
    clock = StoreClock(local, read=_now)
    await clock.measure()
    before = clock()
    for hours in (3, -1, 31 * 24):
        monkeypatch.setattr("service.clock.utc_now", partial(_shifted, timedelta(hours=hours)))
        assert timedelta() <= clock() - before < timedelta(minutes=5), "the step does not change it"
        await clock.measure()
        assert timedelta() <= clock() - before < timedelta(minutes=5)
        assert abs(clock.skew - timedelta(hours=hours)) < timedelta(minutes=5)
        assert not clock.may_claim()
    monkeypatch.undo()
    await clock.measure()
    assert clock.may_claim()


async def test_plain_callable_is_right() -> None:
    clock = StoreClock(lambda: NOW, read=_now)
    await clock.measure()
    assert (clock(), clock.may_claim(), clock.wall()) == (NOW, True, NOW)


def test_factory_clock_away_from_present_is_wrong() -> None:
    present = datetime.now(UTC).replace(microsecond=0)
    for by, ahead in ((0, 0), (1, 0), (3 * 3600, 3 * 3600), (-3600, -3600)):
        _, skew = Clock(present + timedelta(seconds=by)).against(NOW)
        assert skew.total_seconds() == pytest.approx(ahead, abs=60 if ahead else 0)
    assert Clock().against(NOW) == (timedelta(), timedelta())
    moved = Clock(present)
    moved.advance(timedelta(days=31))
    assert moved.against(NOW) == (timedelta(), timedelta()), "time passes for the whole deployment"


async def _now() -> datetime:
    return datetime.now(UTC)


def _shifted(by: timedelta) -> datetime:
    return datetime.now(UTC) + by
