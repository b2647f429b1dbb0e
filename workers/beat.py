"""Celery's beat with a heartbeat, and with at most one hint for each work queue in the broker.

Before beat sends a hint it sets the hint's flag in Redis, as every other sender does. While the flag is set, or Redis
is unavailable, it sends nothing. Workers claim once a second without hints.

Beat reports itself alive whether or not the broker is available. While the broker is unavailable, a restart of beat
would not help, and an orchestrator waits longer before each restart: up to five minutes after the broker is back.
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
from service.observability.health_server import LivenessProbe
from service.observability.outages import OutageLog
from service.store.queues.due import DueStore
from service.store.redis import health
from service.store.redis.client import Redis
from service.store.state.heartbeats import HeartbeatStore

#: Beat ticks once a second. A broker that does not answer delays a tick by some seconds for each message.
_SILENCE_SECONDS: Final = 60.0
_LONGEST_WAIT_SECONDS: Final = 5
_HEARTBEAT_SECONDS: Final = 1.0

T = TypeVar("T")

liveness: Final = LivenessProbe(longest_silence=_SILENCE_SECONDS)


class BeatStore:
    """Synchronous access to Redis for beat: the gateway's client, on an event loop in a thread."""

    def __init__(self, settings: Settings) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="beat-store", daemon=True)
        self._thread.start()
        self._redis = Redis(settings.redis_url, timeout=settings.redis_timeout, ca_file=settings.redis_ca_file)
        self._wait_for(self._redis.__aenter__())
        self._due, self._heartbeats = DueStore(self._redis), HeartbeatStore(self._redis)
        self._heartbeat_at = 0.0

    def close(self) -> None:
        self._wait_for(self._redis.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def refuse_old(self) -> None:
        """Raise RuntimeError if the server is too old. A server that cannot be asked is not refused."""
        self._wait_for(health.refuse_old(self._redis))

    def flag_hint(self, work_queue: WorkQueue) -> bool:
        """Set the flag of the work queue's hint. Return False if it was set, or if Redis is unavailable."""
        try:
            return self._wait_for(self._due.flag_hint(work_queue))
        except StoreUnavailable:
            return False

    def note_beat(self) -> None:
        """Write beat's heartbeat, in the time of Redis, at most once a second."""
        if time.monotonic() - self._heartbeat_at < _HEARTBEAT_SECONDS:
            return
        self._heartbeat_at = time.monotonic()
        with contextlib.suppress(StoreUnavailable):
            self._wait_for(self._write_heartbeat())

    async def _write_heartbeat(self) -> None:
        await self._heartbeats.note_beat(await health.now(self._redis))

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class Scheduler(beat.Scheduler):  # type: ignore[misc]  # Celery is not annotated
    @cached_property
    def outage(self) -> OutageLog:
        return OutageLog("broker")

    @cached_property
    def store(self) -> BeatStore:
        return BeatStore(self.app.settings)

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        self._report_alive()
        return super().tick(*args, **kwargs)

    def apply_async(self, entry: Any, *args: Any, **kwargs: Any) -> Any:
        """Send the entry's hint unless one is in the broker. Celery calls this for each entry that is due."""
        if not self.store.flag_hint(WorkQueue(entry.name)):
            return None
        try:
            sent = super().apply_async(entry, *args, **kwargs)
        except beat.SchedulingError as error:  # the broker is unavailable, or is a full Redis
            self.outage.failed(error.__cause__ or error)
            return None
        self.outage.succeeded()
        return sent

    def close(self) -> None:
        super().close()
        if "store" in self.__dict__:
            self.__dict__.pop("store").close()

    def _report_alive(self) -> None:
        liveness.touch()
        self.store.note_beat()

    def _ensure_connected(self) -> Any:
        """Wait for a broker that is unavailable at the start, and report beat alive meanwhile.

        Celery's own method waits up to half a minute between two attempts.
        """

        def failed(error: Exception, _seconds: float) -> None:
            self._report_alive()
            self.outage.failed(error)

        connected = self.connection.ensure_connection(failed, None, interval_max=_LONGEST_WAIT_SECONDS)
        self.outage.succeeded()
        return connected
