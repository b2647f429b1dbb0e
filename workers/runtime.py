"""ONE event loop and ONE Runtime per worker process; Celery's threads hand their coroutines to it."""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Final

import uvloop

from service.config.settings import Settings
from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.observability import log, tracing
from service.observability.health_server import LivenessProbe, serve
from service.runtime import Runtime, open_runtime, tune_gc
from service.store.state.heartbeats import INTERVAL
from service.tasks import QUEUE_OF

#: Claiming is a few exchanges with Redis; past this something is broken and the next message tries again.
_CLAIM_SECONDS: Final = 30.0
_START_SECONDS: Final = 30.0
#: For closing connections, once the drains are done or their grace is over.
_CLOSE_SECONDS: Final = 10.0
#: How often a worker polls its queues' due sets: beat and the broker only make it sooner.
_POLL_SECONDS: Final = 1.0
#: A loop that has not turned for this long is stuck, and everything on it.
_STUCK_SECONDS: Final = 30.0

Queues = Callable[[], Iterable[str]]
"""What this process consumes; asked late, since ``-Q`` is read after the process has begun."""


class Process:
    """The loop's thread, and the runtime that lives on it."""

    def __init__(self, settings: Settings, queues: Queues) -> None:
        self._settings = settings
        self._queues = queues
        self.pulse = LivenessProbe(longest_silence=_STUCK_SECONDS)
        self._loop = uvloop.new_event_loop()
        self._stop = asyncio.Event()
        self._opened = threading.Event()
        self._runtime: Runtime | None = None
        self._thread = threading.Thread(target=self._live, name="event-loop", daemon=True)

    def open(self) -> None:
        self._thread.start()
        if not self._opened.wait(_START_SECONDS) or self._runtime is None:
            raise RuntimeError("the worker's runtime did not open; the log says why")

    def run(self, drain: WorkQueue) -> None:
        if self._runtime is None:
            raise RuntimeError("the worker's runtime is not open")
        claiming = asyncio.run_coroutine_threadsafe(self._runtime.queues.serve(drain), self._loop)
        try:
            claiming.result(_CLAIM_SECONDS)
        except StoreUnavailable as error:
            log.get(__name__).warning("store away while claiming", drain=drain, error=error.detail)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(self._settings.submit_grace.total_seconds() + _CLOSE_SECONDS + tracing.FLUSH_SECONDS)

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._opened.set()
            self._loop.close()

    async def _serve(self) -> None:
        tracing.configure("seedance-worker")
        async with open_runtime(self._settings) as runtime:
            self._runtime = runtime
            tune_gc()
            self._opened.set()
            tasks = [
                asyncio.create_task(self._beat(runtime), name="heartbeat"),
                asyncio.create_task(self._poll_forever(runtime), name="polling"),
            ]
            await self._stop.wait()
            for task in tasks:
                task.cancel()
        await asyncio.to_thread(tracing.shut_down)

    async def _beat(self, runtime: Runtime) -> None:
        name = f"{socket.gethostname()}:{os.getpid()}"
        while True:
            self.pulse.beat()
            with contextlib.suppress(StoreUnavailable):  # the store is away: a restart of this process heals nothing
                clock = runtime.clock
                await runtime.stores.heartbeats.note_worker(name, self._queues(), clock(), skew=clock.skew)
            await asyncio.sleep(INTERVAL.total_seconds())

    async def _poll_forever(self, runtime: Runtime) -> None:
        """Claim at once and then once a second: neither a lost hint nor a backlog of old ones delays what is due."""
        while True:
            queues = set(self._queues())
            for drain in (drain for drain, queue in QUEUE_OF.items() if queue in queues):
                runtime.queues.serve_soon(drain)
            await asyncio.sleep(_POLL_SECONDS)


_process: Process | None = None


def open_process(settings: Settings, queues: Queues) -> None:
    global _process  # noqa: PLW0603  (one per process, by design)
    _process = Process(settings, queues)
    if settings.metrics_port:
        serve(_process.pulse, host=settings.metrics_host, port=settings.metrics_port)
    _process.open()


def close_process() -> None:
    if _process is not None:
        _process.close()


def run(drain: WorkQueue) -> None:
    if _process is None:
        raise RuntimeError("no worker process is open")
    _process.run(drain)
