"""Order of inspections: tenants take turns, small images do not wait for large ones."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from service.media.decoder_slots import DecoderSlots


class Slots:
    """Starts jobs by name, and ends them on request. ``started``: names in the order of their start."""

    def __init__(self) -> None:
        self._slots = DecoderSlots()
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.started: list[str] = []

    async def ask(self, *names: str) -> None:
        """Ask for a slot. ``a.large.1`` is a large job of tenant ``a``."""
        for name in names:
            self._ends[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._run(name))
            await settle()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await settle()

    async def cancel(self, name: str) -> None:
        self._tasks[name].cancel()
        await settle()

    async def end_all(self) -> list[str]:
        """End the running jobs in the order of their start, until none waits."""
        for name in self.started:  # grows
            await self.end(name)
        return self.started

    async def _run(self, name: str) -> None:
        tenant, size, *_ = name.split(".")
        async with self._slots.slot(tenant, is_large=size == "large"):
            self.started.append(name)
            await self._ends[name].wait()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("asked", "order"),
    [
        (["a.small.1", "a.small.2", "a.small.3"], ["a.small.1", "a.small.2", "a.small.3"]),
        (["a.large.1", "a.large.2", "b.small.1"], ["a.large.1", "b.small.1", "a.large.2"]),
        (["a.large.1", "b.large.1", "c.large.1", "d.small.1"], ["a.large.1", "d.small.1", "b.large.1", "c.large.1"]),
        (
            ["a.small.1", "a.small.2", "a.small.3", "a.small.4", "b.small.1"],
            ["a.small.1", "a.small.2", "b.small.1", "a.small.3", "a.small.4"],
        ),
        (
            ["a.large.1", "a.large.2", "a.large.3", "b.large.1"],
            ["a.large.1", "b.large.1", "a.large.2", "a.large.3"],
        ),
        (
            ["c.small.1", "c.small.2", "a.large.1", "a.small.1"],
            ["c.small.1", "c.small.2", "a.small.1", "a.large.1"],
        ),
    ],
    ids=["in order", "small passes large", "one large", "tenants take turns", "large take turns", "small first"],
)
async def test_jobs_start_in_fair_order(asked: Sequence[str], order: Sequence[str]) -> None:
    slots = Slots()
    await slots.ask(*asked)

    assert await slots.end_all() == order


async def test_jobs_are_at_most_two_and_one_large() -> None:
    slots = Slots()
    await slots.ask("a.large.1", "b.large.1", "c.small.1", "d.small.1")

    assert slots.started == ["a.large.1", "c.small.1"]


@pytest.mark.parametrize("canceled", ["a.small.1", "b.small.1"], ids=["running", "waiting"])
async def test_canceled_job_frees_its_slot(canceled: str) -> None:
    slots = Slots()
    await slots.ask("a.small.1", "a.small.2", "b.small.1", "c.small.1")

    await slots.cancel(canceled)
    await slots.end("a.small.2")

    assert slots.started[-1] == "c.small.1"


async def test_job_canceled_as_its_slot_is_free_passes_it_on() -> None:
    slots = DecoderSlots()
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(slots.slot("a", is_large=False))
        waiting = asyncio.create_task(stack.enter_async_context(slots.slot("b", is_large=False)))
        await settle()
        waiting.cancel()
    async with asyncio.timeout(5), slots.slot("c", is_large=False), slots.slot("c", is_large=False):
        pass
    assert not slots._last_turn
