"""Verification of the audit trail in steps: where it continues, what it counts, and who does it."""

from datetime import timedelta

import pytest
from fastapi import FastAPI

from service.domain.chain import Verified
from service.runtime import Runtime
from service.store import keys
from service.store.trail.trail import TrailStore
from service.usecases.trail import verification
from service.usecases.trail.verification import EVERY
from tests.support import factories
from tests.support.trail import links


@pytest.fixture
def runtime(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """A step is three entries."""
    monkeypatch.setattr(verification, "STEP", 3)
    found: Runtime = app.state.runtime
    return found


async def append(runtime: Runtime, count: int, *, retention: timedelta = timedelta(days=1)) -> None:
    store = TrailStore(runtime.redis, retention=retention)
    for number in range(count):
        assert await store.append(f"act_{number}", factories.trail_entry(), once=False) is not None


async def remove(runtime: Runtime, *numbers: int) -> None:
    positions = [link.position for link in await links(runtime) if link.number in numbers]
    assert await runtime.redis.execute("XDEL", keys.TRAIL, *positions) == len(numbers)


async def position(runtime: Runtime) -> int:
    at, _ = await runtime.stores.trail_checks.verified()
    return at.number


@pytest.mark.parametrize(("count", "steps"), [(0, []), (2, []), (3, [3]), (6, [3, 6]), (8, [3, 6])])
async def test_verification_reads_every_entry_once(runtime: Runtime, count: int, steps: list[int]) -> None:
    seen: list[tuple[int, int]] = []

    async def note(entries: int, of: int) -> None:
        seen.append((entries, of))

    await append(runtime, count)
    report, head = await runtime.chain.run(note), await runtime.stores.trail_reader.head()
    assert seen == [(entries, count) for entries in steps]
    assert (report.entries, report.last, report.last_hash) == (count, count, head.hash)
    assert (report.trimmed, report.break_count, report.breaks) == (0, 0, [])


async def test_verification_lists_the_first_breaks(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_MOST_LISTED", 2)
    await append(runtime, 9)
    await remove(runtime, 2, 4, 6)
    report = await runtime.chain.run()
    assert (report.entries, report.break_count) == (6, 3)
    assert [found.number for found in report.breaks] == [2, 4]


async def test_verification_by_steps_continues(runtime: Runtime) -> None:
    await append(runtime, 8)
    await remove(runtime, 5)
    checks, found = runtime.stores.trail_checks, []
    for _ in range(3):
        await runtime.chain.verify_next()
        found.append((await position(runtime), await checks.breaks()))
    assert found == [(3, 0), (7, 1), (0, 1)]
    assert (await checks.verified()) == (Verified(), 0)


async def test_verification_logs_each_break(runtime: Runtime, capfd: pytest.CaptureFixture[str]) -> None:
    await append(runtime, 2)
    await remove(runtime, 2)
    capfd.readouterr()
    await runtime.chain.verify_next()
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "trail_chain_broken" in line]
    assert '"number":2' in line
    assert "it is missing; the last entry was 2" in line


async def test_verification_in_an_interval_is_one_step(runtime: Runtime) -> None:
    await append(runtime, 8)
    for _ in range(3):
        await runtime.chain.continue_when_due()
    assert await position(runtime) == 3
    assert timedelta() < timedelta(milliseconds=await runtime.redis.execute("PTTL", keys.TRAIL_CHECK_TURN)) <= EVERY


async def test_verification_continues_behind_trimmed_entries(runtime: Runtime) -> None:
    await append(runtime, 4)
    await runtime.chain.verify_next()
    await append(runtime, 20, retention=timedelta(milliseconds=1))
    await append(runtime, 5)
    head = await runtime.stores.trail_reader.head()
    assert head.trimmed > 4
    await runtime.chain.verify_next()
    assert (await position(runtime), await runtime.stores.trail_checks.breaks()) == (head.trimmed + 3, 0)


async def test_verification_misses_entries_that_retention_left(runtime: Runtime) -> None:
    await append(runtime, 8)
    await runtime.chain.verify_next()
    await remove(runtime, 4, 5)
    await runtime.chain.verify_next()
    assert (await position(runtime), await runtime.stores.trail_checks.breaks()) == (8, 1)


async def test_verification_of_a_trail_without_entries_needs_its_head(runtime: Runtime) -> None:
    await append(runtime, 3)
    await remove(runtime, 1, 2, 3)
    report = await runtime.chain.run()
    assert [(found.number, found.fault) for found in report.breaks] == [(1, "it is missing; the last entry was 3")]
