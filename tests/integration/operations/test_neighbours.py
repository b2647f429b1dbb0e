"""Load of one tenant that slows down the other tenants. Known faults are strict expected failures.

The tests count work and do not measure time, so each fails for its own reason on a slow machine too. Once a fault is
mended its test passes, strict mode reports that as a failure, and the mark is to be removed.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest

from service.config.settings import Settings
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store import keys
from service.store.redis.client import Redis
from service.store.webhooks.deliveries import DeliveryStore
from tests.conftest import Connect
from tests.integration.api.fal.conftest import PUBLIC, as_fal, submit
from tests.support import factories
from tests.support.factories import Clock
from tests.support.receiver import Receiver

#: Webhook attempts under way in one worker process, and at a receiver that is not proven.
ATTEMPTS: Final = 40
ATTEMPTS_OF_A_RECEIVER: Final = 2


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(
        redis_url,
        public_url=PUBLIC,
        webhook_concurrency=ATTEMPTS,
        webhook_unproven_concurrency=ATTEMPTS_OF_A_RECEIVER,
        webhook_timeout=timedelta(seconds=120),
    )


# --- usage reports ----------------------------------------------------------------------------------------------------


async def test_usage_report_cost_is_independent_of_end_users(
    connect: Connect, redis: Redis, runtime: Runtime, clock: Clock
) -> None:
    cost = {}
    for end_users in (1_000, 50_000):
        tenant = await runtime.tenants.service.create("acme")
        await spent(redis, tenant, clock().date().isoformat(), end_users)
        cost[end_users] = await cost_of_a_report(await connect(tenant), redis)
    few, many = cost[1_000], cost[50_000]
    assert many["bytes"] < 5 * few["bytes"], (few, many)
    assert many["cpu"] < 10 * few["cpu"], (few, many)


async def spent(redis: Redis, tenant: Tenant, date: str, end_users: int) -> None:
    """Book the spending of so many end users on this day, in the lists that the script of an end writes."""
    for key in (keys.usage_of_end_users(tenant.id, date), keys.usage_of_end_users(tenant.id, date[:7])):
        for start in range(0, end_users, 1000):
            pairs = ((1_512_000 + n, f"eu_{n:032x}") for n in range(start, start + 1000))
            await redis.execute("ZADD", key, *(word for pair in pairs for word in pair))


async def cost_of_a_report(client: httpx.AsyncClient, redis: Redis) -> dict[str, float]:
    """What Redis does for one usage report of this month: bytes answered, seconds of CPU."""
    before = await info(redis)
    (await client.get("/v1/usage")).raise_for_status()
    after = await info(redis)
    return {name: after[name] - before[name] for name in after}


async def info(redis: Redis) -> dict[str, float]:
    text = (await redis.execute("INFO", "all")).decode()
    found = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {
        "bytes": float(found["total_net_output_bytes"]),
        "cpu": float(found["used_cpu_user"]) + float(found["used_cpu_sys"]),
    }


# --- equal submits ----------------------------------------------------------------------------------------------------


async def test_equal_submits_run_as_many_scripts_as_distinct(connect: Connect, tenant: Tenant, redis: Redis) -> None:
    fal, count = as_fal(await connect(tenant)), 150
    distinct = await scripts_of(redis, [submit(fal, prompt=f"variation {n}") for n in range(count)])
    equal = await scripts_of(redis, [submit(fal, prompt="the same") for _ in range(count)])
    assert equal <= 2 * distinct, f"{equal} scripts for {count} equal submits, {distinct} for distinct ones"


async def scripts_of(redis: Redis, submits: list[Any]) -> int:
    """How many scripts Redis runs for these concurrent submits, which are all accepted."""
    before = await scripts(redis)
    answers = await asyncio.gather(*submits)
    for answer in answers:
        answer.raise_for_status()
    if len({answer.json()["request_id"] for answer in answers}) != len(submits):
        pytest.fail("a submit got the request of another one")
    return await scripts(redis) - before


async def scripts(redis: Redis) -> int:
    text = (await redis.execute("INFO", "commandstats")).decode()
    lines = [line for line in text.splitlines() if line.startswith(("cmdstat_eval:", "cmdstat_evalsha:"))]
    return sum(int(line.split("calls=")[1].split(",")[0]) for line in lines)


# --- dead receivers ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def dead() -> AsyncIterator[list[str]]:
    """URLs of receivers that accept connections and never answer."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128)) for _ in range(4)]
        yield [f"http://127.0.0.1:{server.getsockname()[1]}/hook" for server in servers]


async def test_dead_receivers_of_other_tenants_leave_attempts(runtime: Runtime, clock: Clock, dead: list[str]) -> None:
    for _ in range(4):
        tenant = await runtime.tenants.service.create("acme")
        for url in dead * ATTEMPTS_OF_A_RECEIVER:
            await failing(runtime, await an_event(runtime, tenant, url))
    await runtime.queues.run(WorkQueue.DELIVER)
    busy = runtime.queues.consumers[WorkQueue.DELIVER].busy
    assert 0 < busy <= ATTEMPTS / 2, "failing receivers have half of the attempts at most"
    with Receiver() as receiver:
        quiet = await runtime.tenants.service.create("quiet")
        await an_event(runtime, quiet, receiver.url)
        await runtime.queues.run(WorkQueue.DELIVER)
        await asyncio.to_thread(receiver.wait_for, lambda came: len(came) == 1)


async def an_event(runtime: Runtime, tenant: Tenant, url: str) -> str:
    """A webhook that waits; its id."""
    wanted = factories.create_request(webhook_url=url)
    made = (await runtime.generations.creator.create(tenant, wanted)).generation
    return (await runtime.generations.canceller.cancel(tenant, made.id)).deliveries[0]


async def failing(runtime: Runtime, delivery_id: str) -> None:
    """Its receiver has not answered of late."""
    delivery = await DeliveryStore(runtime.redis).load(delivery_id)
    if delivery is None:
        pytest.fail("the event is not stored")
    await runtime.redis.execute("HSET", keys.endpoint_health(delivery.endpoint_queue), "failures", 25)
