"""The worker process: one event loop in a thread, with one Runtime. Celery's threads hand their work to this loop."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import uvloop

from service import gc_tuning
from service.config.settings import Settings
from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.observability import log, tracing
from service.observability.health_server import LivenessProbe, serve
from service.observability.outages import log_store_failure
from service.repeating import repeating
from service.runtime import Runtime, open_runtime
from service.store.redis.health import refuse_old
from service.store.state.heartbeats import INTERVAL
from service.tasks import QUEUE_OF

#: A claim is a few exchanges with Redis. One that takes longer is given up, and the next message claims again.
_CLAIM_SECONDS: Final = 30.0
_START_SECONDS: Final = 30.0
#: Time for closing connections, after the running work has ended or its grace is over.
_CLOSE_SECONDS: Final = 10.0
#: Time between two claims of each work queue without any message. Beat and the broker only make claims earlier.
_CLAIM_EVERY_SECONDS: Final = 1.0
#: A loop that has not run for this long is stuck, and all work on it.
_STUCK_SECONDS: Final = 30.0

ConsumedQueues = Callable[[], Iterable[str]]
"""Returns the Celery queues of this process. Celery reads ``-Q`` after the process has started."""


class WorkerProcess:
    """Owns the event loop, its thread and the runtime."""

    def __init__(self, settings: Settings, queues: ConsumedQueues) -> None:
        self._settings = settings
        self._queues = queues
        self.liveness = LivenessProbe(longest_silence=_STUCK_SECONDS)
        self._loop = uvloop.new_event_loop()
        self._stop = asyncio.Event()
        self._opened = threading.Event()
        self._runtime: Runtime | None = None
        self._failure: Exception = TimeoutError(f"its connections were not open after {_START_SECONDS:.0f} s")
        self._thread = threading.Thread(target=self._run_loop, name="event-loop", daemon=True)

    def open(self) -> None:
        self._thread.start()
        if not self._opened.wait(_START_SECONDS) or self._runtime is None:
            raise RuntimeError(f"The worker did not start: {self._failure}") from self._failure

    def run(self, work_queue: WorkQueue) -> None:
        """Claim what is due and start its processing. Blocks the calling thread for the claim alone."""
        if self._runtime is None:
            raise RuntimeError("the worker's runtime is not open")
        consumer = self._runtime.queues.consumers[work_queue]
        claim = asyncio.run_coroutine_threadsafe(consumer.run(), self._loop)
        try:
            claim.result(_CLAIM_SECONDS)
        except StoreUnavailable as error:
            log_store_failure(log.get(__name__), error, operation="claim", work_queue=work_queue.value)

    def close(self) -> None:
        """Stop claiming, wait for running work up to its grace, and close all connections."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(self._settings.submit_grace.total_seconds() + _CLOSE_SECONDS + tracing.FLUSH_SECONDS)

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:
            self._failure = error
            raise
        finally:
            self._opened.set()
            self._loop.close()

    async def _serve(self) -> None:
        tracing.configure("seedance-worker")
        async with open_runtime(self._settings) as runtime:
            await refuse_old(runtime.redis)
            self._runtime = runtime
            gc_tuning.freeze()
            self._opened.set()
            async with (
                repeating(partial(self._report_heartbeat, runtime), name="heartbeat", pause=INTERVAL.total_seconds()),
                repeating(partial(self._claim, runtime), name="claims", pause=_CLAIM_EVERY_SECONDS),
            ):
                await self._stop.wait()
        await asyncio.to_thread(tracing.shut_down)

    async def _report_heartbeat(self, runtime: Runtime) -> None:
        """Raises StoreUnavailable. The process counts as alive all the same: its restart would not help."""
        self.liveness.touch()
        name, clock = f"{socket.gethostname()}:{os.getpid()}", runtime.clock
        await runtime.stores.heartbeats.note_worker(name, self._queues(), clock(), skew=clock.skew)

    async def _claim(self, runtime: Runtime) -> None:
        """Claim without a hint: neither a lost hint nor a backlog of old ones delays due work."""
        queues = set(self._queues())
        for work_queue in (work_queue for work_queue, queue in QUEUE_OF.items() if queue in queues):
            runtime.queues.serve(work_queue)


_process: WorkerProcess | None = None


def open_process(settings: Settings, queues: ConsumedQueues) -> None:
    global _process  # noqa: PLW0603  (Celery's signals and tasks have no object in common but the module)
    _process = WorkerProcess(settings, queues)
    if settings.metrics_port:
        serve(_process.liveness, host=settings.metrics_host, port=settings.metrics_port)
    _process.open()


def close_process() -> None:
    if _process is not None:
        _process.close()


def get_process() -> WorkerProcess:
    """Return the open worker process."""
    if _process is None:
        raise RuntimeError("no worker process is open")
    return _process
