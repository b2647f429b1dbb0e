"""The door to Redis behind Sentinels: it finds the master, loses nothing it told as done, and comes back by itself."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest

from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.store import keys
from service.store.generations.changes import ChangeFeed
from service.store.generations.creation import Bound, Created
from service.store.generations.generations import GenerationStore
from service.store.generations.in_flight import InFlightStore
from service.store.money.money import MoneyStore
from service.store.queues.tenant_queue import QueueStore
from service.store.redis.client import CONNECTIONS, Redis
from service.tasks import celery_app, task_name
from service.usecases.operations.audit import Audit
from tests.support import factories
from tests.support.sentinels import PASSWORD, Watched, ask, until

PATIENCE: Final = 90.0


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with Watched(tmp_path, replicas=2, sentinels=3) as running:
        yield running


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Watched]:
    with Watched(tmp_path) as running:
        yield running


async def surely_created(store: GenerationStore, number: int) -> str:
    """As a caller does: again with the same key until it is told that it was taken."""
    g = factories.generation(idempotency_digest=f"order-{number}")
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            answer = await store.create(g, factories.due())
        except StoreUnavailable:
            assert time.monotonic() < give_up, "no master came back"
            await asyncio.sleep(0.02)
            continue
        assert isinstance(answer, Created) or answer == Bound(g.id, same=True)
        return g.id


async def reached(goal: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not goal():
        assert time.monotonic() < give_up, "the load stands still"
        await asyncio.sleep(0.01)


async def test_failover_under_load_loses_no_accepted_generation(watched: Watched) -> None:
    """Creates go on over 20 coroutines; each that was answered is on the master that Sentinels chose, once."""
    accepted: list[str] = []
    ended = asyncio.Event()

    async def load(store: GenerationStore, lane: int) -> None:
        number = lane
        while not ended.is_set():
            accepted.append(await surely_created(store, number))
            number += 20

    async with Redis(watched.url, timeout=2, wait_replicas=1) as redis:
        store = GenerationStore(redis)
        loads = [asyncio.create_task(load(store, lane)) for lane in range(20)]
        async with asyncio.timeout(3 * PATIENCE):
            await reached(lambda: len(accepted) >= 500)
            before = len(accepted)
            dead = await asyncio.to_thread(watched.fail_over)
            after = len(accepted)
            await reached(lambda: len(accepted) >= after + 500)
            ended.set()
            await asyncio.gather(*loads)
        found = await asyncio.gather(*(store.load(name) for name in accepted))
        books = await Audit(MoneyStore(redis), store, InFlightStore(redis), clock=factories.Clock()).run()
        waiting = await QueueStore(redis).unfinished()

    assert before >= 500
    assert watched.master_port != dead.port
    assert [name for name, g in zip(accepted, found, strict=True) if g is None] == []
    assert len(set(accepted)) == len(accepted) == waiting, "nothing twice, nothing besides"
    assert books.clean, books.listed()


async def test_write_with_too_few_replicas_is_store_unavailable(pair: Watched) -> None:
    replica = next(server for server in pair.servers if server.port != pair.master_port)
    async with Redis(pair.url, timeout=4, wait_replicas=1) as redis:
        store = GenerationStore(redis)
        assert isinstance(await store.create(factories.generation(), factories.due()), Created)
        replica.kill()
        g = factories.generation(idempotency_digest="order-7")
        for _ in range(2):  # the second finds it bound, and may not tell either
            with pytest.raises(StoreUnavailable):
                await store.create(g, factories.due())
        assert await store.load(g.id) is not None, "reads ask no replica"
        await asyncio.to_thread(replica.restart)
        await asyncio.to_thread(ask, replica.port, "REPLICAOF", "127.0.0.1", str(pair.master_port))
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    assert await store.create(g, factories.due()) == Bound(g.id, same=True)
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.02)


async def test_write_without_wait_replicas_needs_no_replica(pair: Watched) -> None:
    async with Redis(pair.url, timeout=1) as redis:
        assert isinstance(await GenerationStore(redis).create(factories.generation(), factories.due()), Created)
        assert b"cmdstat_wait:" not in await redis.execute("INFO", "commandstats")


async def test_demoted_master_is_replaced_by_the_new_one(pair: Watched) -> None:
    """It still answers, and takes no writes: the next exchange asks anew where the master is."""
    port = pair.master_port
    other = next(server.port for server in pair.servers if server.port != port)
    async with Redis(f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/0", timeout=1) as redis:
        store = GenerationStore(redis)
        await store.create(factories.generation(), factories.due())
        await asyncio.to_thread(ask, port, "REPLICAOF", "127.0.0.1", str(other))
        connections = await _connections(redis)
        for _ in range(CONNECTIONS):
            with pytest.raises(StoreUnavailable):
                await store.create(factories.generation(), factories.due())
        assert await _connections(redis) > connections


async def _connections(redis: Redis) -> int:
    info = await redis.execute("INFO", "stats")
    return int(info.split(b"total_connections_received:")[1].split(b"\r")[0])


async def test_one_reachable_sentinel_is_enough(pair: Watched) -> None:
    async with Redis(pair.url.replace("@", "@127.0.0.1:9,"), timeout=2) as redis:
        assert await redis.execute("PING") == b"PONG"


async def test_no_reachable_sentinel_is_store_unavailable() -> None:
    async with Redis("sentinel://127.0.0.1:9,[::1]:9/gateway", timeout=1) as redis:
        for _ in range(2 * CONNECTIONS):
            with pytest.raises(StoreUnavailable):
                await redis.execute("PING")


async def test_change_feed_follows_the_master(pair: Watched) -> None:
    async with Redis(pair.url, timeout=2) as redis, ChangeFeed(redis) as changes:
        with changes.watch("gen_1") as watch:
            for _ in range(500):  # until the subscription stands
                if await redis.execute("PUBLISH", keys.CHANGES, "gen_1"):
                    break
                await asyncio.sleep(0.01)
            await asyncio.wait_for(watch.wait(within=60), 30)


def test_broker_follows_the_master(pair: Watched) -> None:
    app = celery_app(factories.settings(pair.url))
    app.send_task(task_name(WorkQueue.DISPATCH), queue="dispatch")
    assert ask(pair.master_port, "LLEN", "{sg}:broker:dispatch") == 1
    pair.fail_over()

    def sent() -> bool:
        try:
            app.send_task(task_name(WorkQueue.DISPATCH), queue="dispatch")
        except Exception:  # noqa: BLE001  (whatever kombu makes of a master that is gone)
            return False
        return True

    until(sent)
    assert ask(pair.master_port, "LLEN", "{sg}:broker:dispatch") >= 2
    app.close()
