"""Receivers that do not respond, and names whose name server does not: B's webhooks arrive as if A had sent none."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

import sandbox
from service.cli.dev.stack import Stack
from service.clock import utc_now
from service.runtime import open_runtime
from tests.e2e.conftest import OVERRIDES
from tests.guards.repository import ROOT
from tests.support import factories
from tests.support.named_worker import MODULE, NAME_SERVER
from tests.support.nameserver import NameServer
from tests.support.neighbours import Neighbour, assert_unharmed, measure, neighbour, percentile
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

#: Bounds of the stack.
ATTEMPTS, OF_RECEIVER, TIMEOUT = 60, 4, timedelta(seconds=6)
#: Tenants, their receivers, and deliveries to each.
HOSTILE, RECEIVERS, DELIVERIES = 4, 10, 4
ROUNDS: Final = 5
#: Seconds from an end to the delivery of its webhook, on a machine that is busy: less than a timeout.
WEBHOOK_SECONDS: Final = 4.0


@dataclass(frozen=True)
class World:
    stack: Stack
    b: Neighbour
    hostile: list[Neighbour]


@pytest.fixture(scope="module")
def names() -> Iterator[NameServer]:
    with NameServer(answers=[["127.0.0.1"]], silent=".hang.example") as running:
        yield running


@pytest.fixture(scope="module")
def world(names: NameServer) -> Iterator[World]:
    changes = {
        **OVERRIDES,
        "webhook_concurrency": ATTEMPTS,
        "webhook_unproven_concurrency": OF_RECEIVER,
        "webhook_timeout": TIMEOUT,
    }
    paths = (str(ROOT), str(Path(sandbox.__file__).parents[1]), os.environ.get("PYTHONPATH", ""))
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        patch.setenv(NAME_SERVER, ":".join(map(str, names.address)))
        running = stack.enter_context(Stack(overrides=changes, worker_app=MODULE))
        b, *hostile = (stack.enter_context(neighbour(running, f"t{n}")) for n in range(HOSTILE + 1))
        yield World(running, b, hostile)


@pytest.fixture
def dead() -> Iterator[list[str]]:
    """URLs of receivers that accept connections and never respond."""
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=512)) for _ in range(RECEIVERS)]
        yield [f"http://127.0.0.1:{server.getsockname()[1]}/hook" for server in servers]


async def send(world: World, urls: list[str]) -> None:
    """Write deliveries of every hostile tenant to each of these receivers."""
    async with open_runtime(world.stack.settings) as runtime:
        for tenant in world.hostile:
            now = utc_now()
            g = factories.generation(tenant_id=tenant.id, created_at=now)
            made = [
                factories.delivery(tenant_id=tenant.id, url=url.format(tenant.id), created_at=now)
                for url in urls
                for _ in range(DELIVERIES)
            ]
            tomorrow = factories.due(now + timedelta(days=1))  # a worker would dispatch it before its end is written
            await runtime.stores.generations.create(g, tomorrow)
            assert (await runtime.stores.generations.finish(g.canceled(0, now), tomorrow, made, now=now)).won


def webhook_seconds(b: Neighbour, receiver: Receiver, url: str) -> float:
    """Return the seconds from the end of a generation of B to its webhook."""
    body = factories.create_body(prompt="sandbox:no-video sandbox:seconds=60", webhook_url=url)
    g = b.http.post("/v1/generations", json=body).raise_for_status().json()
    before = len(receiver.received)
    b.http.post(f"/v1/generations/{g['id']}/cancel").raise_for_status()
    began = time.monotonic()
    eventually(lambda: len(receiver.received) > before, within=30)
    return time.monotonic() - began


def attempts(world: World) -> int:
    """Return the webhook attempts under way, by their leases."""
    import redis as redis_py

    with redis_py.Redis.from_url(world.stack.settings.redis_url) as redis:
        return sum(redis.zcard(key) for key in redis.scan_iter("{sg}:endpoint:*:leases", count=1000))


@pytest.mark.parametrize("kind", ["names that hang", "receivers that hang"])
def test_webhooks_of_b_arrive_while_receivers_hang(world: World, dead: list[str], kind: str) -> None:
    b = world.b
    with Receiver() as receiver, Receiver() as new_receiver:
        port = receiver.url.rpartition(":")[2].partition("/")[0]
        url = f"http://hooks.b.example:{port}/hook"
        alone = [webhook_seconds(b, receiver, url) for _ in range(ROUNDS)]
        calm = measure(b, rounds=ROUNDS)
        silent = [f"http://{kind[0]}{n}.{{}}.hang.example:{port}/hook".lower() for n in range(RECEIVERS)]
        asyncio.run(send(world, silent if kind.startswith("names") else dead))
        eventually(lambda: attempts(world) >= ATTEMPTS / 4)
        most = attempts(world)
        together = [webhook_seconds(b, receiver, url) for _ in range(ROUNDS)]
        first = webhook_seconds(b, new_receiver, new_receiver.url)
        most = max(most, attempts(world))
        harassed = measure(b, rounds=ROUNDS)
    sys.stdout.write(
        f"{kind}: {most} attempts of A; webhooks of B: p99 {percentile(alone):.2f} s alone, "
        f"{percentile(together):.2f} s now, {first:.2f} s to a new receiver\n"
    )
    assert most <= ATTEMPTS / 2 + OF_RECEIVER
    assert max(together) <= WEBHOOK_SECONDS
    assert first <= WEBHOOK_SECONDS
    assert_unharmed(calm, harassed, within=2.0)
