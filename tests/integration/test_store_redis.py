"""The door to Redis: groups what is asked together, tells when nobody is home, and comes back by itself."""

import asyncio
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from service import metrics
from service.cli.embedded_redis import EmbeddedRedis
from service.errors import StoreUnavailable
from service.store.changes import Changes
from service.store.redis import LANES, Redis


async def test_commands_of_one_turn_leave_together(redis: Redis) -> None:
    def exchanges() -> float:
        return sum(s.value for m in metrics.STORE_BATCH.collect() for s in m.samples if s.name.endswith("_count"))

    await redis.execute("PING")
    before = exchanges()
    answers = await asyncio.gather(*(redis.execute("INCR", "n") for _ in range(200)))
    assert sorted(answers) == list(range(1, 201))
    assert exchanges() - before <= 4


async def test_a_refused_command_fails_alone(redis: Redis) -> None:
    await redis.execute("SET", "text", "x")
    wrong, right = asyncio.create_task(redis.execute("INCR", "text")), asyncio.create_task(redis.execute("GET", "text"))
    with pytest.raises(ResponseError):
        await wrong
    assert await right == b"x"


async def test_a_caller_that_gives_up_disturbs_nobody(redis: Redis) -> None:
    waiting = [asyncio.create_task(redis.execute("INCR", "n")) for _ in range(50)]
    await asyncio.sleep(0)
    for task in waiting[::2]:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await redis.execute("PING") == b"PONG"


async def test_away_is_told_at_once_and_back_is_noticed(tmp_path: Path) -> None:
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


async def test_a_full_redis_is_unavailable_and_not_an_error_of_ours(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path, options={"maxmemory": "1mb"}).start()
    try:
        async with Redis(server.url, timeout=2) as redis:
            with pytest.raises(StoreUnavailable):
                await asyncio.gather(*(redis.execute("SET", f"k{n}", "x" * 100_000) for n in range(200)))
    finally:
        server.end()


async def test_a_watcher_hears_of_a_change(redis: Redis) -> None:
    async with Changes(redis) as changes:
        with changes.watch("gen_1") as watch:
            for _ in range(50):  # until the subscription stands
                if await redis.execute("PUBLISH", "{sg}:changes", "gen_1"):
                    break
                await asyncio.sleep(0.01)
            await asyncio.wait_for(watch.moved(within=60), 5)
        assert not changes._watches


async def test_a_word_that_cannot_be_sent_is_its_callers_fault_alone(redis: Redis) -> None:
    for _ in range(2 * LANES):
        with pytest.raises((TypeError, UnicodeEncodeError)):
            await redis.execute("SET", "name", "\ud800")
    async with asyncio.timeout(2):
        assert await redis.execute("PING") == b"PONG"


async def test_a_server_that_refuses_the_handshake_is_unavailable_each_time(redis_server: EmbeddedRedis) -> None:
    async with Redis(redis_server.url.removesuffix("/0") + "/9999", timeout=2) as wrong, asyncio.timeout(5):
        for _ in range(2 * LANES):
            with pytest.raises(StoreUnavailable):
                await wrong.execute("PING")
