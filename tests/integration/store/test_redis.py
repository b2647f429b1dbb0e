"""The Redis client: groups concurrent commands, fails fast while Redis is unavailable, and reconnects."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from service.cli.dev.embedded_redis import EmbeddedRedis
from service.errors import StoreFull, StoreUnavailable
from service.observability import metrics
from service.store.generations.changes import ChangeFeed
from service.store.redis.client import CONNECTIONS, LARGEST_BATCH, Redis
from tests.support.waiting import until


async def test_commands_of_one_turn_share_an_exchange(redis: Redis) -> None:
    def exchanges() -> float:
        return sum(s.value for m in metrics.REDIS_BATCH.collect() for s in m.samples if s.name.endswith("_count"))

    await redis.execute("PING")
    before = exchanges()
    answers = await asyncio.gather(*(redis.execute("INCR", "{sg}:n") for _ in range(200)))
    assert sorted(answers) == list(range(1, 201))
    assert exchanges() - before <= 4


async def test_refused_command_fails_only_its_caller(redis: Redis) -> None:
    await redis.execute("SET", "{sg}:text", "x")
    wrong, right = (
        asyncio.create_task(redis.execute("INCR", "{sg}:text")),
        asyncio.create_task(redis.execute("GET", "{sg}:text")),
    )
    with pytest.raises(ResponseError):
        await wrong
    assert await right == b"x"


async def test_cancelled_caller_leaves_other_replies_intact(redis: Redis) -> None:
    waiting = [asyncio.create_task(redis.execute("INCR", "{sg}:n")) for _ in range(50)]
    await asyncio.sleep(0)
    for task in waiting[::2]:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await redis.execute("PING") == b"PONG"


async def test_cancelled_gather_cancels_its_replies(redis: Redis) -> None:
    await redis.execute("PING")
    waiting = asyncio.create_task(redis.gather([("PING",)] * 20))
    await asyncio.sleep(0)
    replies = [reply for _, reply, *_ in redis._requests]
    assert len(replies) == 20

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert all(reply.cancelled() for reply in replies)


async def test_unavailable_redis_fails_fast_and_recovers(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path).start()
    try:
        async with Redis(server.url, timeout=2) as redis:
            await redis.execute("SET", "kept", 1)
            server.kill()
            with pytest.raises(StoreUnavailable):
                await redis.execute("GET", "kept")
            server.restart()
            assert await redis.execute("GET", "kept") == b"1"
    finally:
        server.end()


async def test_full_redis_raises_store_full(tmp_path: Path) -> None:
    """SETRANGE is not one of the writes that always fit."""
    server = EmbeddedRedis(tmp_path, options={"maxmemory": "1mb"}).start()
    try:
        async with Redis(server.url, timeout=2) as redis:
            with pytest.raises(StoreFull):
                await asyncio.gather(*(redis.execute("SETRANGE", f"k{n}", 100_000, "x") for n in range(200)))
            assert await redis.execute("SET", "k", "x") == b"OK"
    finally:
        server.end()


async def test_change_feed_notifies_subscription(redis: Redis) -> None:
    async with ChangeFeed(redis) as changes:
        with changes.watch("gen_1") as watch:
            for _ in range(50):  # until the subscription is active
                if await redis.execute("PUBLISH", "{sg}:changes", "gen_1"):
                    break
                await asyncio.sleep(0.01)
            await asyncio.wait_for(watch.wait(within=60), 30)
        assert not changes._subscriptions


async def test_change_feed_goes_on_after_message_that_is_no_text(redis: Redis) -> None:
    async def reaches_feed(message: str | bytes) -> bool:
        return bool(await redis.execute("PUBLISH", "{sg}:changes", message))

    async with ChangeFeed(redis) as changes:
        await until(partial(reaches_feed, b"\xff"))
        with changes.watch("gen_1") as watch:
            waiting = asyncio.create_task(watch.wait(within=60))

            async def notified() -> bool:
                return await reaches_feed("gen_1") and waiting.done()

            await until(notified, within=30)


async def test_argument_that_cannot_be_packed_fails_only_its_caller(redis: Redis) -> None:
    for _ in range(2 * CONNECTIONS):
        with pytest.raises((TypeError, UnicodeEncodeError)):
            await redis.execute("SET", "name", "\ud800")
    async with asyncio.timeout(30):
        assert await redis.execute("PING") == b"PONG"


async def test_refused_handshake_is_store_unavailable(redis_server: EmbeddedRedis) -> None:
    async with Redis(redis_server.url.removesuffix("/0") + "/9999", timeout=2) as wrong, asyncio.timeout(30):
        for _ in range(2 * CONNECTIONS):
            with pytest.raises(StoreUnavailable):
                await wrong.execute("PING")


@asynccontextmanager
async def serving(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """Start a server with this behaviour; its URL."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()


async def test_hanging_redis_fails_all_callers_within_the_timeout() -> None:
    """Each exchange sends a part of the commands; commands that have waited for a whole timeout fail with it."""

    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass

    timeout = 1.0
    async with serving(hang) as url, Redis(url, timeout=timeout) as redis:
        begun = time.monotonic()
        answers = await asyncio.gather(
            *(redis.execute("PING") for _ in range(LARGEST_BATCH * CONNECTIONS * 10)), return_exceptions=True
        )
        took = time.monotonic() - begun

    assert {type(answer) for answer in answers} == {StoreUnavailable}
    assert took < timeout * 8, "with every exchange in turn it would be ten"


async def test_close_fails_waiting_callers() -> None:
    async with Redis("redis://127.0.0.1:9/0", timeout=2) as redis:
        with pytest.raises(StoreUnavailable):
            await asyncio.gather(*(redis.execute("PING") for _ in range(CONNECTIONS)))
        waiting = asyncio.create_task(redis.execute("PING"))
        await asyncio.sleep(0)
    async with asyncio.timeout(30):
        with pytest.raises(StoreUnavailable):
            await waiting


async def test_refusing_redis_gets_few_connections() -> None:
    """For example one that loads its data, or has its limit of clients: each connection uses up a port."""
    connections = 0

    async def loading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read(65536)
        writer.write(b"-LOADING Redis is loading the dataset in memory\r\n")
        await writer.drain()

    async with serving(loading) as url, Redis(url, timeout=2) as redis:
        begun = time.monotonic()
        for _ in range(20):
            with pytest.raises(StoreUnavailable):
                await redis.execute("PING")
        took = time.monotonic() - begun

    assert connections / took < 100
