"""Event streams: their memory in one gateway with thousands of them, and the latency of an event."""

import asyncio
import random
import time
from collections.abc import Iterator
from typing import Final

from service.cli.dev.stack import Stack
from service.domain.generation import Generation
from service.domain.status import Status
from service.domain.tenant import Limits
from service.runtime import Runtime, open_runtime, utc_now
from tests.bench import stack as stacks
from tests.bench.figures import Figure, Target, latency
from tests.bench.memory import megabytes
from tests.bench.scale import Scale

#: Transitions per second, of generations in random order; each one changes the queue position of most others.
_RATE: Final = 50
_CALM_SECONDS: Final = 3.0
#: Streams opened concurrently: the backlog of a listening socket is short.
_AT_ONCE: Final = 50
_WITHIN: Final = 60.0


def measure(scale: Scale) -> Iterator[Figure]:
    """Open streams of different generations, so that nothing is shared; all are queued for one tenant at the start."""
    with stacks.opened(worker=False, event_streams=scale.streams) as stack:
        yield from asyncio.run(_measure(stack, scale))


async def _measure(stack: Stack, scale: Scale) -> list[Figure]:
    pid = stack.children["gateway"].pid
    await asyncio.sleep(_CALM_SECONDS)
    empty = megabytes(pid)
    readers = [_Reader(stack, name) for name in await _created(stack, scale.streams)]
    for begin in range(0, len(readers), _AT_ONCE):
        await asyncio.gather(*(reader.open() for reader in readers[begin : begin + _AT_ONCE]))
    await asyncio.sleep(_CALM_SECONDS)
    full = megabytes(pid)
    async with open_runtime(stack.settings) as runtime:
        samples = await _move(runtime, readers, seconds=scale.watched_seconds)
    after = megabytes(pid)
    for reader in readers:
        reader.close()
    raw = {
        "streams": len(readers),
        "without_MB": round(empty, 1),
        "opened_MB": round(full, 1),
        "kB_per_stream": round((full - empty) * 1000 / len(readers), 1),
        "events_per_second": round(sum(reader.events for reader in readers) / scale.watched_seconds),
    }
    return [
        Figure(name="event_streams_rss", value=max(full, after), unit="MB", target=Target(150), raw=raw),
        latency("event_latency", samples, at_most=20),
    ]


async def _created(stack: Stack, count: int) -> list[str]:
    """Create in this process: the memory that creates leave in a gateway is another figure."""
    async with open_runtime(stack.settings) as runtime:
        tenant = await runtime.tenants.service.get(stack.tenant_id)
        wanted = runtime.generations.forms.parse(stacks.body("a boat").encode(), Limits())
        created = await asyncio.gather(*(runtime.generations.creator.create(tenant, wanted) for _ in range(count)))
    return [creation.generation.id for creation in created]


async def _move(runtime: Runtime, readers: list["_Reader"], *, seconds: float) -> list[float]:
    """Measure from the write to the event at its client."""
    samples: list[float] = []
    waiting: set[asyncio.Task[float]] = set()
    end, shuffled = time.monotonic() + seconds, random.sample(readers, len(readers))
    for number, reader in enumerate(shuffled * 3):
        if time.monotonic() > end:
            break
        if number >= len(shuffled):
            await asyncio.gather(*waiting)  # the previous transition of this generation has been received
        task = asyncio.create_task(reader.event_latency(runtime))
        waiting.add(task)
        task.add_done_callback(lambda done: samples.append(done.result()))
        task.add_done_callback(waiting.discard)
        await asyncio.sleep(random.uniform(0, 2 / _RATE))  # noqa: S311  (nobody guesses at it)
    await asyncio.gather(*waiting)
    return samples


def _next(g: Generation) -> Generation:
    match g.status:
        case Status.QUEUED:
            return g.submitting(utc_now())
        case Status.SUBMITTING:
            return g.submitted(g.id)
        case _:
            return g.started(utc_now())


class _Reader(asyncio.Protocol):
    def __init__(self, stack: Stack, generation_id: str) -> None:
        self.events = 0
        self._stack = stack
        self._id = generation_id
        self._state = asyncio.Event()
        self._transport: asyncio.BaseTransport | None = None

    async def open(self) -> None:
        """Return with the first event."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", self._stack.port or 0)
        lines = (
            f"GET {stacks.PATH}/{self._id}/events HTTP/1.1",
            "Host: a",
            f"Authorization: Bearer {self._stack.api_key}",
        )
        transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._transport = transport
        await self._received()

    async def event_latency(self, runtime: Runtime) -> float:
        """Change the status. Return the seconds until its event is received."""
        begun = time.perf_counter()
        await runtime.transitions.apply(self._id, _next)
        await self._received()
        return time.perf_counter() - begun

    def data_received(self, data: bytes) -> None:
        self.events += data.count(b"\nevent: ")
        if b"\nevent: state" in data:
            self._state.set()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def _received(self) -> None:
        async with asyncio.timeout(_WITHIN):
            await self._state.wait()
        self._state.clear()
