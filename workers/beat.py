"""Beat as Celery has it, with a sign of life, and with at most one hint per drain in the broker.

Before beat sends a hint it marks it as sent in the store, as every other writer does; while one is marked, or the store
does not answer, it sends nothing. Workers claim once a second without hints.

It turns, whether or not there is a broker that takes what it says. While the broker is unavailable a restart heals
nothing, and an orchestrator waits ever longer before each: up to five minutes after the broker is back.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Coroutine
from functools import cached_property
from typing import Any, Final, TypeVar

from celery import beat

from service.config.settings import Settings
from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.observability import log
from service.observability.health_server import LivenessProbe
from service.store.queues.due import DueStore
from service.store.redis import health
from service.store.redis.client import Redis
from service.store.state.heartbeats import HeartbeatStore

#: It turns once a second; a broker that hangs holds it up for some seconds per message.
_SILENCE_SECONDS: Final = 60.0
_LONGEST_WAIT_SECONDS: Final = 5
_NOTE_SECONDS: Final = 1.0

T = TypeVar("T")

pulse: Final = LivenessProbe(longest_silence=_SILENCE_SECONDS)


class Store:
    """The store for beat, which is synchronous: the gateway's own client, on an event loop in a thread."""

    def __init__(self, settings: Settings) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="beat-store", daemon=True)
        self._thread.start()
        self._redis = Redis(settings.redis_url, timeout=settings.redis_timeout, ca_file=settings.redis_ca_file)
        self._wait_for(self._redis.__aenter__())
        self._due, self._heartbeats = DueStore(self._redis), HeartbeatStore(self._redis)
        self._noted = 0.0

    def close(self) -> None:
        self._wait_for(self._redis.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def flag_hint(self, drain: WorkQueue) -> bool:
        """Mark the drain's hint as sent; False: it was already, or the store does not answer."""
        try:
            return self._wait_for(self._due.flag_hint(drain))
        except StoreUnavailable:
            return False

    def note_beat(self) -> None:
        """Write, once a second at most and in the store's time, that beat runs."""
        if time.monotonic() - self._noted < _NOTE_SECONDS:
            return
        self._noted = time.monotonic()
        with contextlib.suppress(StoreUnavailable):
            self._wait_for(self._note())

    async def _note(self) -> None:
        await self._heartbeats.note_beat(await health.now(self._redis))

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class Scheduler(beat.Scheduler):  # type: ignore[misc]  # Celery is not annotated
    _refused = False

    @cached_property
    def store(self) -> Store:
        return Store(self.app.settings)

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        self._show_life()
        return super().tick(*args, **kwargs)

    def apply_async(self, entry: Any, *args: Any, **kwargs: Any) -> Any:
        """Send the entry's hint where none is on its way. Celery calls it for each entry that is due."""
        if not self.store.flag_hint(WorkQueue(entry.name)):
            return None
        try:
            sent = super().apply_async(entry, *args, **kwargs)
        except beat.SchedulingError as error:  # the broker is unavailable, or shares a full Redis
            if not self._refused:  # said once until a hint is sent again: there are four a second
                log.get(__name__).warning("hint not sent", drain=entry.name, error=str(error))
            self._refused = True
            return None
        self._refused = False
        return sent

    def close(self) -> None:
        super().close()
        if "store" in self.__dict__:
            self.__dict__.pop("store").close()

    def _show_life(self) -> None:
        pulse.beat()
        self.store.note_beat()

    def _ensure_connected(self) -> Any:
        """Where Celery's own waits, up to half a minute at a time, for a broker that is unavailable when it starts."""

        def failed(error: Exception, seconds: float) -> None:
            self._show_life()
            log.get(__name__).warning("broker away", error=type(error).__name__, again_in=seconds)

        return self.connection.ensure_connection(failed, None, interval_max=_LONGEST_WAIT_SECONDS)
