"""Webhooks: the rate of a worker with a slow receiver, and the delay that a dead receiver causes to a healthy one."""

import asyncio
import contextlib
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

import httpx

from service.cli.dev.child_processes import Child, accepts, free_port
from service.cli.dev.stack import Stack
from service.domain import ids
from service.domain.webhook import ENDS, Delivery, EventType
from service.domain.webhook_endpoint import Endpoint
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime, open_runtime, utc_now
from service.store import keys
from service.usecases.webhooks.endpoints import EndpointSpec
from tests.bench import stack as stacks
from tests.bench.figures import Figure, Target
from tests.bench.memory import megabytes
from tests.bench.scale import Scale
from tests.support.waiting import until

_SECONDS: Final = 0.1  # duration of a response
_TENANTS: Final = 10
_BODY: Final = json.dumps({"type": EventType.SUCCEEDED, "data": {"prompt": "x" * 1200}})  # length of a real event
_BATCH: Final = 50
_DEAD: Final = 1_000
_PER_SECOND: Final = 40
_LOOK: Final = 0.1
_PATIENCE: Final = 120.0


@dataclass(frozen=True)
class Slow:
    """A receiver in a separate process."""

    port: int

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def report(self) -> Any:
        return httpx.get(self.url("/"), trust_env=False).json()

    def arrivals(self, prefix: str) -> dict[str, float]:
        """Return the time of the first attempt of each event, by its id."""
        came = [event for path, events in self.report()["came"].items() if path.startswith(prefix) for event in events]
        return dict(sorted(came, key=lambda event: -event[1]))  # the first attempt of an event is written last

    def latencies(self, sent: Mapping[str, float]) -> list[float]:
        """Return the milliseconds from the time of each event, by its id, to its arrival."""
        came = self.arrivals("/")
        return [1000 * (came[name] - at) for name, at in sent.items()]


@contextlib.contextmanager
def slow_receiver(stack: Stack) -> Iterator[Slow]:
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.slow_receiver", str(port), str(_SECONDS)]
    child = Child("receiver", command, log=stack.folder / "receiver.log")
    try:
        child.wait_until(lambda: accepts(port))
        yield Slow(port)
    finally:
        child.end()


def throughput(scale: Scale) -> Iterator[Figure]:
    """Measure one worker process, endpoints of ten tenants, and a receiver that responds after 100 ms."""
    with stacks.opened(worker=False) as stack, slow_receiver(stack) as receiver:
        asyncio.run(_fill(stack, receiver, scale.deliveries))
        stack.start_worker()
        stack.start_beat()
        most_leased, rss = _watched(stack, receiver, scale.deliveries)
        report = receiver.report()
        at = sorted(moment for events in report["came"].values() for _, moment in events)
    yield Figure(
        name="webhooks_per_second",
        value=_sustained(at),
        unit="deliveries/s",
        target=Target(500, at_least=True),
        raw={"deliveries": len(at), "seconds": round(at[-1] - at[0], 2), "most_open_at_receiver": report["most_open"]},
    )
    yield Figure(name="webhooks_in_flight", value=most_leased, unit="attempts", target=Target(500, at_least=True))
    yield Figure(name="webhooks_rss", value=rss, unit="MB", target=Target(200))


def isolation(scale: Scale) -> Iterator[Figure]:
    """Measure a healthy endpoint's latency with a thousand deliveries to a dead one of the same tenant, and without.

    Two stacks get events in turn, so that other programs of the machine delay both alike.
    """
    with _receiving_stack() as (alone, of_alone), _receiving_stack() as (loaded, of_loaded):
        sent = asyncio.run(_paced(scale.paced_seconds, (alone, of_alone), (loaded, of_loaded)))
        latencies = [receiver.latencies(at) for receiver, at in zip((of_alone, of_loaded), sent, strict=True)]
    floor, value = map(_p99, latencies)
    yield Figure(
        name="webhook_isolation",
        value=value,
        unit="ms (p99)",
        floor=floor,
        target=Target(1.5),
        raw={
            "samples": len(latencies[1]),
            "alone_p50": round(statistics.median(latencies[0]), 2),
            "loaded_p50": round(statistics.median(latencies[1]), 2),
        },
    )


async def _fill(stack: Stack, receiver: Slow, count: int) -> None:
    async with open_runtime(stack.settings) as runtime:
        endpoints = [await _endpoint(runtime, receiver.url(f"/{n}")) for n in range(_TENANTS)]
        for start in range(0, count, _BATCH * _TENANTS):
            await asyncio.gather(
                *(_announce(runtime, each, min(_BATCH, (count - start) // _TENANTS)) for each in endpoints)
            )


async def _endpoint(runtime: Runtime, url: str) -> Endpoint:
    owner = await runtime.tenants.service.create("bench")
    return await runtime.webhooks.endpoints.create(
        owner, EndpointSpec(url, ENDS, "", None, ed25519=False, enabled=True)
    )


async def _announce(runtime: Runtime, to: Endpoint, count: int) -> Sequence[Delivery]:
    now = utc_now()
    events = [
        Delivery(
            id=ids.new(ids.DELIVERY, now),
            tenant_id=to.tenant_id,
            endpoint_id=to.id,
            event=EventType.SUCCEEDED,
            url=to.url,
            body=_BODY,
            created_at=now,
        )
        for _ in range(count)
    ]
    announced = await runtime.stores.endpoints.announce(to, events, now=now, retention=timedelta(days=1))
    for drain in announced.nudges:
        runtime.connections.nudger.nudge(drain)
    return events


def _watched(stack: Stack, receiver: Slow, count: int) -> tuple[int, float]:
    """Wait for all deliveries. Return the most concurrent attempts, and the worker's largest memory."""
    leased, rss, give_up = 0, 0.0, time.monotonic() + _PATIENCE
    with stacks.redis_of(stack) as redis:
        while time.monotonic() < give_up:
            leased = max(leased, sum(redis.zcard(key) for key in redis.scan_iter(keys.endpoint_leases("*"))))
            rss = max(rss, megabytes(stack.children["worker"].pid))
            if redis.exists(keys.due(WorkQueue.DELIVER), keys.due_of_deliveries(proven=False)) == 0:
                break
            time.sleep(_LOOK)
    assert len(receiver.arrivals("/")) == count
    return leased, rss


def _sustained(at: Sequence[float]) -> float:
    """Return the rate of the middle eight tenths: without the worker's start and the last deliveries."""
    first, last = at[len(at) // 10], at[len(at) * 9 // 10]
    return 0.8 * len(at) / (last - first)


@contextlib.contextmanager
def _receiving_stack() -> Iterator[tuple[Stack, Slow]]:
    with stacks.opened(worker=True) as stack, slow_receiver(stack) as receiver:
        yield stack, receiver


async def _paced(seconds: float, alone: tuple[Stack, Slow], loaded: tuple[Stack, Slow]) -> Sequence[dict[str, float]]:
    """Send events to a healthy endpoint of both stacks, at a steady rate in turn. Return the time of each event."""
    async with _healthy_endpoint(*alone, dead=0) as one, _healthy_endpoint(*loaded, dead=_DEAD) as other:
        turns = [(*one, dict[str, float]()), (*other, dict[str, float]())]
        begun = time.monotonic()
        for n in range(int(seconds * _PER_SECOND * len(turns))):
            await asyncio.sleep(max(0.0, begun + n / (_PER_SECOND * len(turns)) - time.monotonic()))
            runtime, endpoint, sent = turns[n % len(turns)]
            at = time.time()
            (event,) = await _announce(runtime, endpoint, 1)
            sent[event.id] = at
        for runtime, _, sent in turns:
            await until(partial(_delivered, runtime, sent), within=_PATIENCE, every=_LOOK)
    return [sent for _, _, sent in turns]


@contextlib.asynccontextmanager
async def _healthy_endpoint(stack: Stack, receiver: Slow, *, dead: int) -> AsyncIterator[tuple[Runtime, Endpoint]]:
    """Yield a proven endpoint, next to an endpoint with deliveries whose attempts get no response."""
    async with open_runtime(stack.settings) as runtime:
        healthy = await _endpoint(runtime, receiver.url("/healthy"))
        owner = await runtime.tenants.service.get(healthy.tenant_id)
        wanted = EndpointSpec(receiver.url("/hang"), ENDS, "", None, ed25519=False, enabled=True)
        hanging = await runtime.webhooks.endpoints.create(owner, wanted)
        for _ in range(0, dead, _BATCH):
            await _announce(runtime, hanging, _BATCH)
        first = await _announce(runtime, healthy, _BATCH)
        await until(lambda: _delivered(runtime, [event.id for event in first]), within=_PATIENCE, every=_LOOK)
        yield runtime, healthy


async def _delivered(runtime: Runtime, delivery_ids: Collection[str]) -> bool:
    return not await runtime.stores.deliveries.pending(list(delivery_ids))


def _p99(samples: Sequence[float]) -> float:
    return statistics.quantiles(samples, n=100)[98]
