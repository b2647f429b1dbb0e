"""Retention and verification: what retention removes is no break, and what else is missing or forged is one."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from service.domain.chain import Head
from service.runtime import Runtime
from service.store import keys
from service.store.trail.trail import TrailStore
from service.usecases.trail import verification
from tests.support import factories
from tests.support.trail import links

ALL, NONE = timedelta(), timedelta(days=400)


async def grown(runtime: Runtime, count: int, retention: timedelta) -> None:
    store = TrailStore(runtime.redis, retention=retention)
    for number in range(count):
        await store.append(f"act_{number}", factories.trail_entry(reason="x" * 300), once=False)


@pytest.mark.parametrize("seed", range(4))
async def test_retention_is_never_a_break(runtime: Runtime, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """In any order of appends, trims and steps of the periodic verification, which is read between them."""
    monkeypatch.setattr(verification, "STEP", 20)
    steps = random.Random(seed)  # noqa: S311  (the order of a test)
    await grown(runtime, 150, NONE)
    for _ in range(12):
        await grown(runtime, steps.randrange(1, 40), steps.choice([ALL, NONE, NONE]))
        for _ in range(steps.randrange(4)):
            await runtime.chain.verify_next()
        assert await runtime.stores.trail_checks.breaks() == 0

    await grown(runtime, 120, ALL)
    report = await runtime.chain.run()
    assert (report.break_count, report.entries + report.trimmed, report.last) == (0, report.last, report.last)
    assert report.trimmed > 0


async def test_empty_trail_after_retention_is_no_break(runtime: Runtime) -> None:
    await grown(runtime, 3, NONE)
    await runtime.redis.execute("XTRIM", keys.TRAIL, "MAXLEN", 0)
    await runtime.redis.execute("HSET", keys.TRAIL_HEAD, "trimmed", 3)
    assert (await runtime.chain.run()).break_count == 0
    await grown(runtime, 1, NONE)
    assert (await runtime.chain.run()).break_count == 0


FORGERIES: dict[str, Callable[[list[str]], list[tuple[Any, ...]]]] = {
    "first entries removed": lambda positions: [("XDEL", keys.TRAIL, *positions[:2])],
    "middle removed": lambda positions: [("XDEL", keys.TRAIL, positions[5])],
    "last removed": lambda positions: [("XDEL", keys.TRAIL, positions[-1])],
    "last removed and the head set back": lambda positions: [
        ("XDEL", keys.TRAIL, positions[-1]),
        ("HINCRBY", keys.TRAIL_HEAD, "n", -1),
    ],
    "all removed": lambda _: [("DEL", keys.TRAIL)],
    "middle removed and counted as trimmed": lambda positions: [
        ("XDEL", keys.TRAIL, positions[5]),
        ("HINCRBY", keys.TRAIL_HEAD, "trimmed", 1),
    ],
    "head with another number": lambda _: [("HINCRBY", keys.TRAIL_HEAD, "n", 1)],
    "head with another hash": lambda _: [("HSET", keys.TRAIL_HEAD, "h", "0" * 64)],
    "head with another count of trimmed entries": lambda _: [("HINCRBY", keys.TRAIL_HEAD, "trimmed", 2)],
    "head removed": lambda _: [("DEL", keys.TRAIL_HEAD)],
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_forged_trail_is_broken_also_after_retention(runtime: Runtime, name: str) -> None:
    await grown(runtime, 150, NONE)
    await grown(runtime, 1, ALL)
    assert (await runtime.stores.trail_reader.head()).trimmed > 0
    await grown(runtime, 10, NONE)
    assert (await runtime.chain.run()).break_count == 0

    for command in FORGERIES[name]([link.position for link in await links(runtime)]):
        await runtime.redis.execute(*command)
    assert (await runtime.chain.run()).break_count > 0


async def test_head_of_an_empty_trail(runtime: Runtime) -> None:
    assert await runtime.stores.trail_reader.head() == Head()
    assert (await runtime.chain.run()).break_count == 0
