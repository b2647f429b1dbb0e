"""Bytes that a tenant stores: the estimate, its gauge, and the refusal of the largest tenant when memory runs low."""

from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI

from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.errors import TenantStoreFull
from service.runtime import Runtime
from service.store import keys
from service.store.redis.client import Redis
from service.store.redis.memory import MemoryMonitor, MemoryPolicy, Refusal
from service.store.state.stored_bytes import StoredBytesStore
from service.usecases.operations import storage_sampler
from service.usecases.operations.storage_sampler import EVERY, StorageSampler
from tests.conftest import Connect
from tests.support.factories import Clock, create_body
from tests.support.webhooks import changed, ended, endpoint

MIB: Final = 2**20
#: The estimate may be wrong by this factor: it weighs eight generations and eight deliveries.
FACTOR: Final = 1.6


async def used(redis: Redis) -> int:
    sizes = await redis.gather(("MEMORY", "USAGE", name, "SAMPLES", 0) for name in await redis.execute("KEYS", "*"))
    return sum(sizes)


@pytest.fixture
def sampler(redis: Redis, clock: Clock) -> StorageSampler:
    return StorageSampler(StoredBytesStore(redis), clock=clock)


async def stored(redis: Redis) -> dict[str, int]:
    return dict(await StoredBytesStore(redis).largest(10))


async def test_estimate_is_near_the_bytes_in_redis(
    api: httpx.AsyncClient, tenant: Tenant, redis: Redis, sampler: StorageSampler
) -> None:
    for number in range(5):
        await changed(api, await endpoint(api, f"http://127.0.0.1:65533/{number}"), enabled=False)
    before = await used(redis)
    for number in range(60):
        await ended(api, prompt="x" * (50 + 900 * (number % 4)), end_user_id=f"customer-{number}")
    await sampler.sample()
    grown, estimate = await used(redis) - before, (await stored(redis))[tenant.id]
    assert grown / FACTOR <= estimate <= grown * FACTOR, (grown, estimate)


async def test_estimate_of_purged_generations_has_what_stays(
    api: httpx.AsyncClient, tenant: Tenant, runtime: Runtime, redis: Redis, clock: Clock, sampler: StorageSampler
) -> None:
    for number in range(20):
        await ended(api, end_user_id=f"customer-{number}")
    await sampler.sample()
    before = (await stored(redis))[tenant.id]
    clock.advance(runtime.settings.retention + timedelta(days=1))
    while await redis.execute("ZCARD", keys.due(WorkQueue.SWEEP)):
        await runtime.queues.run(WorkQueue.SWEEP)
        await runtime.queues.consumers[WorkQueue.SWEEP].idle()
    await sampler.sample()
    after = (await stored(redis))[tenant.id]
    assert 0 < after < before / 2, "usage, money and names stay for 400 days"
    clock.advance(timedelta(seconds=keys.MONEY_RETENTION_SECONDS))
    await sampler.sample()
    assert await stored(redis) == {}


async def test_sample_is_taken_by_one_process_an_interval(redis: Redis, clock: Clock) -> None:
    class Counting(StorageSampler):
        samples = 0

        async def sample(self) -> None:
            Counting.samples += 1

    samplers = [Counting(StoredBytesStore(redis), clock=clock) for _ in range(3)]
    for each in samplers * 2:
        await each.sample_when_due()
    assert Counting.samples == 1
    await redis.execute("DEL", keys.STORED_BYTES_TURN)  # its lifetime has passed
    await samplers[0].sample_when_due()
    assert Counting.samples == 1, "not before its interval has passed"
    clock.advance(EVERY)
    await samplers[0].sample_when_due()
    assert Counting.samples == 2


async def test_samples_take_turns_over_tenants(
    runtime: Runtime, redis: Redis, connect: Connect, sampler: StorageSampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_sampler, "_PAGE", 2)
    for _ in range(5):
        await ended(await connect(await runtime.tenants.service.create("acme")))
    for most in (2, 4, 5):
        await sampler.sample()
        assert len(await stored(redis)) == most


async def test_gauge_shows_the_bytes_of_tenants(
    app: FastAPI, api: httpx.AsyncClient, tenant: Tenant, redis: Redis, runtime: Runtime
) -> None:
    await ended(api)
    await runtime.queues.run(WorkQueue.SWEEP)  # the maintenance worker samples
    size = (await stored(redis))[tenant.id]
    text = (await app.state.runtime.operations.account_metrics.text()).decode()
    assert f'gateway_tenant_stored_bytes{{tenant="{tenant.id}"}} {float(size)!r}' in text


# --- admission --------------------------------------------------------------------------------------------------------


def monitor(used: float, sizes: dict[str, float], *, share: float = 0.8) -> MemoryMonitor:
    """100 MiB for creates; the bytes in MiB."""

    async def read() -> dict[str, str]:
        return {"used_memory": str(int(used * MIB)), "maxmemory": str(200 * MIB)}

    made = MemoryMonitor(read, MemoryPolicy(create_share=0.5, tenant_share=share))
    made.note_largest({tenant_id: int(size * MIB) for tenant_id, size in sizes.items()})
    return made


@pytest.mark.parametrize(
    ("used", "sizes", "share", "refused"),
    [
        (50, {"a": 50}, 0.8, {}),
        (79, {"a": 79}, 0.8, {}),
        (81, {"a": 81}, 0.8, {"a"}),
        (81, {"a": 81}, 1.0, {}),
        (90, {"a": 45, "b": 45}, 0.8, {"a", "b"}),
        (85, {"a": 45, "b": 40}, 0.8, {}),
        (85, {"a": 65, "b": 20}, 0.8, {"a"}),
        (95, {"a": 70, "b": 19}, 0.8, {"a"}),
        (100, {"a": 70, "b": 20}, 0.8, {"a", "b", "new"}),
    ],
)
async def test_memory_low_refuses_largest_tenants_first(
    used: float, sizes: dict[str, float], share: float, refused: set[str]
) -> None:
    read = monitor(used, sizes, share=share)
    found: dict[str, Refusal] = {name: await read.refusal(name) for name in ("a", "b", "new")}
    assert {name for name, reason in found.items() if reason} == set(refused)
    assert set(found.values()) <= ({"", "tenant_store_full"} if used < 100 else {"store_full"})


async def test_memory_low_counts_what_was_written_since_the_sample() -> None:
    read = monitor(90, {"a": 30})
    assert await read.refusal("a") == await read.refusal("b") == ""
    read.note_stored("a", 11 * MIB)
    assert await read.refusal("a") == "tenant_store_full"
    assert await read.refusal("b") == ""
    with pytest.raises(TenantStoreFull):
        await read.demand_room("a")
    await read.demand_room("b")
    await read.demand_room()


async def test_memory_new_sample_replaces_what_was_counted() -> None:
    read = monitor(90, {"a": 30})
    read.note_stored("a", 11 * MIB)
    read.note_largest({"a": 30 * MIB})
    assert await read.refusal("a") == "tenant_store_full", "no new sample yet"
    read.note_largest({"a": 35 * MIB})
    assert await read.refusal("a") == ""


async def test_largest_tenant_is_refused_and_others_create(
    app: FastAPI, connect: Connect, redis: Redis, sampler: StorageSampler
) -> None:
    tenants = app.state.runtime.tenants.service
    large, small = [await tenants.create(name) for name in ("large", "small")]
    one, other = await connect(large), await connect(small)
    key = {"Idempotency-Key": "order-7"}
    first = await one.post("/v1/generations", json=create_body(), headers=key)
    made = await endpoint(one, "http://127.0.0.1:65533/")
    await redis.execute("ZADD", keys.STORED_BYTES, 80 * MIB, large.id)
    in_use = int((await app.state.runtime.redis._read_memory())["used_memory"])
    limit = int((in_use + 5 * MIB) / 0.85)
    await redis.execute("CONFIG", "SET", "maxmemory", limit)
    try:
        app.state.runtime.redis.memory._read_at = None
        refused: list[Any] = [
            await one.post("/v1/generations", json=create_body()),
            await one.post(f"/v1/webhook-endpoints/{made['id']}/test"),
            await one.post("/v1/webhook-endpoints", json={"url": "http://127.0.0.1:65533/2"}),
        ]
        assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(503, "tenant_store_full")] * 3
        assert int(refused[0].headers["retry-after"]) == 60
        replayed = await one.post("/v1/generations", json=create_body(), headers=key)
        assert (replayed.status_code, replayed.json()["id"]) == (202, first.json()["id"])
        assert (await one.post(f"/v1/generations/{first.json()['id']}/cancel")).status_code == 200
        await ended(other)
        assert (await other.post("/v1/webhook-endpoints", json={"url": "http://127.0.0.1:65533/"})).status_code == 201
    finally:
        await redis.execute("CONFIG", "SET", "maxmemory", 0)
