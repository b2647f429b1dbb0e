"""Every write of every store: on a full Redis it fits or is refused, and it waits for replicas."""

from dataclasses import replace

import pytest

from service.config.settings import Settings
from service.errors import StoreFull, StoreUnavailable
from service.runtime.stores import Stores
from service.store.generations.creation import Bound, Created
from service.store.redis.client import Redis
from service.store.redis.commands import GROWS, READS
from tests.support import factories
from tests.support.memory import expire_reading, full
from tests.support.store_operations import OPERATIONS, is_refusal, writes_of
from tests.support.store_world import MINUTE, World, build_world

NAMES = sorted(OPERATIONS)


@pytest.fixture
async def world(redis: Redis, settings: Settings) -> World:
    return await build_world(redis, settings)


async def test_every_write_is_in_the_table(redis: Redis, settings: Settings) -> None:
    """Add a new write to OPERATIONS, with its behaviour on a full Redis and without replicas."""
    assert writes_of(Stores(redis, settings)) == {name.partition(" ")[0] for name in OPERATIONS}


async def test_command_tables_agree_with_the_server(redis: Redis) -> None:
    for name in READS | GROWS:
        ((_, _, flags, *_),) = await redis.execute("COMMAND", "INFO", name)
        assert (b"write" in flags) == (name in GROWS), name
        assert (b"denyoom" in flags) == (name in GROWS), name


@pytest.mark.parametrize("name", NAMES)
async def test_write_above_maxmemory_fits_or_is_refused(world: World, redis: Redis, name: str) -> None:
    """Above ``maxmemory`` Redis refuses a script whose first write takes memory."""
    operation = OPERATIONS[name]
    with full(redis.url, used=1.2):
        expire_reading(redis)
        if operation.when_full == "fits":
            await operation.run(world)
        else:
            await _is_refused(world, name)
    if operation.when_full == "refused":
        expire_reading(redis)
        assert not is_refusal(await operation.run(world))


@pytest.mark.parametrize("name", [name for name in NAMES if OPERATIONS[name].when_full == "refused"])
async def test_new_record_above_create_share_is_refused(world: World, redis: Redis, name: str) -> None:
    with full(redis.url, used=0.9):
        expire_reading(redis)
        await _is_refused(world, name)


@pytest.mark.parametrize("name", [name for name in NAMES if OPERATIONS[name].when_full == "refused"])
async def test_new_record_below_create_share_is_accepted(world: World, redis: Redis, name: str) -> None:
    with full(redis.url, used=0.7):
        expire_reading(redis)
        assert not is_refusal(await OPERATIONS[name].run(world))


async def _is_refused(world: World, name: str) -> None:
    try:
        answer = await OPERATIONS[name].run(world)
    except StoreFull:
        return
    assert is_refusal(answer), "the write was carried out"


@pytest.mark.parametrize("name", NAMES)
async def test_write_without_replica_is_store_unavailable(
    world: World, redis: Redis, settings: Settings, name: str
) -> None:
    operation = OPERATIONS[name]
    async with Redis(redis.url, timeout=0.1 if operation.waits else 10, wait_replicas=1) as alone:
        world = World(Stores(alone, settings), *(getattr(world, part) for part in World.__slots__[1:]))
        if operation.waits:
            with pytest.raises(StoreUnavailable):
                await operation.run(world)
        else:
            await operation.run(world)


async def test_read_waits_for_no_replica(world: World, redis: Redis, settings: Settings) -> None:
    async with Redis(redis.url, timeout=10, wait_replicas=1) as alone:
        stores = Stores(alone, settings)
        assert await stores.generations.load(world.queued.id) == world.queued
        assert [g.id for g in await stores.api_keys.of_tenant(world.tenant.id)] == [world.key.id]
        assert not (await stores.gate.read()).draining
        assert await stores.endpoints.of_tenant(world.tenant.id) == [world.endpoint]


async def test_read_in_the_exchange_of_a_waiting_write_is_answered(world: World, redis: Redis) -> None:
    async with Redis(redis.url, timeout=0.4, wait_replicas=1) as alone:
        with pytest.raises(StoreUnavailable):
            await alone.gather((("GET", "{sg}:a"), ("SET", "{sg}:a", 1)))
        assert await alone.execute("GET", "{sg}:a") == b"1"


@pytest.mark.parametrize("used", [0.9, 1.2])
async def test_repeated_create_on_full_redis_is_answered(world: World, redis: Redis, used: float) -> None:
    """A create with a known idempotency key, and one whose response was lost: neither creates a generation."""
    store = world.stores.generations
    first = factories.generation(tenant_id=world.tenant.id, idempotency_digest="order-7")
    lost = factories.generation(tenant_id=world.tenant.id)
    assert isinstance(await store.create(first, factories.due()), Created)
    assert isinstance(await store.create(lost, factories.due(), call=world.call()), Created)
    await world.stores.response_receipts.lost(world.tenant.id, "digest", lost.id, window=MINUTE)
    with full(redis.url, used=used):
        expire_reading(redis)
        again = replace(first, id=factories.generation().id)
        assert await store.create(again, factories.due()) == Bound(first.id, same=True)
        again = replace(lost, id=factories.generation().id)
        assert await store.create(again, factories.due(), call=world.call()) == Bound(lost.id, same=True)
