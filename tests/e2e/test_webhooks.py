"""A real worker and a thousand deliveries: a kill in the middle, and a receiver that never responds."""

import asyncio
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

import pytest

from service.cli.dev.stack import Stack
from service.domain import ids
from service.domain.webhook import ENDS, Delivery, EventType
from service.domain.webhook_endpoint import Endpoint
from service.runtime import Runtime, open_runtime, utc_now
from service.usecases.webhooks.endpoints import EndpointSpec
from tests.e2e.conftest import OVERRIDES
from tests.support.receiver import Receiver

COUNT = 1_000
BATCH = 50
#: Attempts of a killed worker are due again after this time plus half a minute.
TIMEOUT = timedelta(seconds=2)


@pytest.fixture
def workerless() -> Iterator[Stack]:
    with Stack(worker=False, overrides={**OVERRIDES, "webhook_timeout": TIMEOUT}) as running:
        yield running


@pytest.fixture
def hanging() -> Iterator[str]:
    """The URL of a receiver that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    held.append(listening.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/hang"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for connection in held:
            connection.close()


async def registered(runtime: Runtime, stack: Stack, url: str) -> Endpoint:
    owner = await runtime.tenants.service.get(stack.tenant_id)
    return await runtime.webhooks.endpoints.create(
        owner, EndpointSpec(url, ENDS, "", None, ed25519=False, enabled=True)
    )


async def announced(runtime: Runtime, to: Endpoint, count: int) -> set[str]:
    made = set()
    for start in range(0, count, BATCH):
        now = utc_now()
        events = [
            Delivery(
                id=ids.new(ids.DELIVERY, now),
                tenant_id=to.tenant_id,
                endpoint_id=to.id,
                event=EventType.TEST,
                url=to.url,
                body=f'{{"number": {start + n}}}',
                created_at=now,
            )
            for n in range(BATCH)
        ]
        answer = await runtime.stores.endpoints.announce(to, events, now=now, retention=timedelta(days=1))
        assert answer.won
        for drain in answer.nudges:
            runtime.connections.nudger.nudge(drain)
        made |= {event.id for event in events}
    return made


def test_worker_killed_during_deliveries_loses_none(workerless: Stack, receiver: Receiver) -> None:
    async def made() -> tuple[Endpoint, set[str]]:
        async with open_runtime(workerless.settings) as runtime:
            to = await registered(runtime, workerless, receiver.url)
            return to, await announced(runtime, to, COUNT)

    to, names = asyncio.run(made())
    workerless.start_worker()
    workerless.start_beat()
    receiver.wait_for(lambda came: len(came) >= COUNT // 4)
    workerless.children["worker"].kill()
    died_at = len(receiver.received)
    assert died_at < COUNT, "the worker was killed in the middle"
    workerless.start_worker()

    came = receiver.wait_for(lambda now: {r.headers["webhook-id"] for r in now} >= names, within=120)

    by_id = defaultdict(set)
    for each in came:
        by_id[each.headers["webhook-id"]].add(each.body)
        assert each.verified(to.keys[0].secret) == each.json
    assert by_id.keys() == names, "none lost, none invented"
    assert {len(bodies) for bodies in by_id.values()} == {1}, "a repeated delivery has the same bytes"
    assert len(came) <= COUNT + 100, "only attempts in progress at the kill were repeated"


def test_dead_receiver_does_not_delay_other_endpoints(workerless: Stack, receiver: Receiver, hanging: str) -> None:
    """Another endpoint of the same tenant; the benchmark measures the delay."""

    async def made() -> tuple[set[str], float]:
        async with open_runtime(workerless.settings) as runtime:
            dead = await registered(runtime, workerless, hanging)
            healthy = await registered(runtime, workerless, receiver.url)
            await announced(runtime, dead, COUNT)
            await asyncio.to_thread(workerless.start_worker)
            await asyncio.to_thread(workerless.start_beat)
            begun = time.monotonic()
            return await announced(runtime, healthy, 100), begun

    names, begun = asyncio.run(made())
    receiver.wait_for(lambda now: {r.headers["webhook-id"] for r in now} >= names)
    assert time.monotonic() - begun < TIMEOUT.total_seconds() * COUNT / 100 / 2, (
        "long before the dead endpoint's attempts end"
    )
