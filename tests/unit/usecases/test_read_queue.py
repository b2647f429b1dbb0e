"""Lists and reports of one tenant run one after the other; those of another tenant do not wait for them."""

import asyncio

import pytest

from service.usecases.generations import concurrency
from service.usecases.generations.concurrency import ReadQueue


async def read(queue: ReadQueue, tenant_id: str, order: list[str], end: asyncio.Event | None = None) -> None:
    async with queue.turn(tenant_id):
        order.append(tenant_id)
        if end is not None:
            await end.wait()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_reads_of_a_tenant_run_one_after_the_other() -> None:
    queue, order, end = ReadQueue(), list[str](), asyncio.Event()
    reads = [asyncio.create_task(read(queue, "ten_a", order, end)) for _ in range(3)]
    await settle()
    assert order == ["ten_a"]
    await read(queue, "ten_b", order)  # waits for no read of the other tenant
    assert order == ["ten_a", "ten_b"]
    end.set()
    await asyncio.gather(*reads)
    assert order == ["ten_a", "ten_b", "ten_a", "ten_a"]


async def test_long_read_is_followed_by_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "_SHORT_READ_SECONDS", 0.0)
    monkeypatch.setattr(concurrency, "_LONGEST_PAUSE_SECONDS", 0.05)
    queue, order = ReadQueue(), list[str]()
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    loop.call_later(0.1, end.set)
    await read(queue, "ten_a", order, end)
    ended = loop.time()
    await read(queue, "ten_a", order)
    assert loop.time() - ended >= 0.04


async def test_canceled_and_failed_reads_leave_the_queue() -> None:
    queue, order, end = ReadQueue(), list[str](), asyncio.Event()
    first = asyncio.create_task(read(queue, "ten_a", order, end))
    await settle()
    waiting = asyncio.create_task(read(queue, "ten_a", order))
    await settle()
    waiting.cancel()
    first.cancel()
    results = await asyncio.gather(first, waiting, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2
    await asyncio.wait_for(read(queue, "ten_a", order), 30)
    assert order == ["ten_a", "ten_a"]
    assert not queue._locks
    assert not queue._users
