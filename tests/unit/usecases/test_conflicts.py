"""Repeating a compare-and-set after lost races."""

from service.usecases.conflicts import LOST, MAX_ATTEMPTS, Lost, retry_on_conflict


class Writer:
    """Loses this number of races before it writes."""

    def __init__(self, losses: int) -> None:
        self.losses = losses
        self.attempts = 0

    async def attempt(self) -> str | Lost | None:
        self.attempts += 1
        return LOST if self.attempts <= self.losses else "written"


async def test_conflict_retry_after_lost_races_returns_the_result() -> None:
    writer = Writer(losses=MAX_ATTEMPTS - 1)
    assert await retry_on_conflict(writer.attempt) == "written"
    assert writer.attempts == MAX_ATTEMPTS


async def test_conflict_retry_without_a_race_attempts_once() -> None:
    writer = Writer(losses=0)
    assert await retry_on_conflict(writer.attempt) == "written"
    assert writer.attempts == 1


async def test_conflict_retry_of_no_change_returns_none() -> None:
    async def nothing_to_do() -> None:
        return None

    assert await retry_on_conflict(nothing_to_do) is None


async def test_conflict_retry_that_always_loses_stops() -> None:
    writer = Writer(losses=1_000_000)
    assert await retry_on_conflict(writer.attempt) is LOST
    assert writer.attempts == MAX_ATTEMPTS
