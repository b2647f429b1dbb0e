"""ONE event loop and ONE Runtime per worker process; Celery's threads hand their coroutines to it."""

import asyncio
import threading
from typing import Final

import uvloop
from prometheus_client import start_http_server

from service import log
from service.domain.drain import Drain
from service.errors import StoreUnavailable
from service.runtime import Runtime, calm_collector, open_runtime
from service.settings import Settings

#: Claiming is a few exchanges with Redis; past this something is broken and the next message tries again.
_CLAIM_SECONDS: Final = 30.0
_START_SECONDS: Final = 30.0
#: For closing connections, once the drains are done or their grace is over.
_CLOSE_SECONDS: Final = 10.0


class Process:
    """The loop's thread, and the runtime that lives on it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = uvloop.new_event_loop()
        self._stop = asyncio.Event()
        self._opened = threading.Event()
        self._runtime: Runtime | None = None
        self._thread = threading.Thread(target=self._live, name="event-loop", daemon=True)

    def open(self) -> None:
        self._thread.start()
        if not self._opened.wait(_START_SECONDS) or self._runtime is None:
            raise RuntimeError("the worker's runtime did not open; the log says why")

    def run(self, drain: Drain) -> None:
        if self._runtime is None:
            raise RuntimeError("the worker's runtime is not open")
        claiming = asyncio.run_coroutine_threadsafe(self._runtime.serve(drain), self._loop)
        try:
            claiming.result(_CLAIM_SECONDS)
        except StoreUnavailable as error:
            log.get(__name__).warning("store away while claiming", drain=drain, error=error.detail)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(self._settings.submit_grace.total_seconds() + _CLOSE_SECONDS)

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._opened.set()
            self._loop.close()

    async def _serve(self) -> None:
        async with open_runtime(self._settings) as runtime:
            self._runtime = runtime
            calm_collector()
            self._opened.set()
            await self._stop.wait()


_process: Process | None = None


def open_process(settings: Settings) -> None:
    global _process  # noqa: PLW0603  (one per process, by design)
    if settings.metrics_port:
        start_http_server(settings.metrics_port, settings.metrics_host)
    _process = Process(settings)
    _process.open()


def close_process() -> None:
    if _process is not None:
        _process.close()


def run(drain: Drain) -> None:
    if _process is None:
        raise RuntimeError("no worker process is open")
    _process.run(drain)
