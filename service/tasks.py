"""What gateway and workers agree on: the drains, their task and queue names, and how to say "drain now"."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, Final, Self

from celery import Celery
from celery.schedules import schedule
from kombu.entity import Exchange, Queue

from service.config.redis_urls import Sentinels
from service.config.settings import Settings
from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.observability import log, metrics


def task_name(drain: WorkQueue) -> str:
    """Gateway and workers agree on names, not on code."""
    return f"workers.tasks.{drain}"


#: ``dispatch`` talks to fal, ``webhooks`` to strangers, ``maintenance`` seldom to anybody: three failures, three lanes.
QUEUE_OF: Final = {
    WorkQueue.DISPATCH: "dispatch",
    WorkQueue.POLL: "dispatch",
    WorkQueue.DELIVER: "webhooks",
    WorkQueue.SWEEP: "maintenance",
}
QUEUES: Final = tuple(dict.fromkeys(QUEUE_OF.values()))

_COALESCE_SECONDS: Final = 0.003
_PUBLISH_TIMEOUT: Final = 5.0
_PATIENCE: Final = {"socket_timeout": _PUBLISH_TIMEOUT, "socket_connect_timeout": _PUBLISH_TIMEOUT}


def celery_app(settings: Settings) -> Celery:
    """Celery configured the one way this project uses it; the workers add their tasks to it."""
    url = settings.broker_url or settings.redis_url
    sentinels = Sentinels.parse(url)
    app = Celery("workers", broker=url if sentinels is None else sentinels.broker_url())
    app.settings = settings  # for beat's scheduler, which Celery makes from the app alone
    app.conf.update(
        # Each its own exchange and key: by default all queues share one, and every message reaches them all.
        # Unacknowledged: a full Redis refuses to note what a worker has taken. See service/broker.py.
        task_queues=[Queue(name, Exchange(name), routing_key=name, no_ack=True) for name in QUEUES],
        task_routes={task_name(drain): {"queue": QUEUE_OF[drain]} for drain in WorkQueue},
        task_create_missing_queues=False,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,  # a refusal of a full Redis: without this the worker's process ends
        broker_pool_limit=2,
        broker_transport=_transport(url, sentinels),
        broker_use_ssl=_trust(settings) if _speaks_tls(url, sentinels) else None,
        broker_transport_options={
            **_PATIENCE,
            "max_retries": 1,
            "global_keyprefix": "{sg}:broker:",
            **_of_sentinels(sentinels, settings),
        },
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        enable_utc=True,
    )
    return app


def _transport(url: str, sentinels: Sentinels | None) -> str | None:
    """None: another broker than Redis, by its URL."""
    if sentinels is not None:
        return "service.broker:SentinelTransport"
    return "service.broker:Transport" if url.startswith(("redis://", "rediss://")) else None


def _speaks_tls(url: str, sentinels: Sentinels | None) -> bool:
    return url.startswith("rediss://") if sentinels is None else sentinels.tls


def _trust(settings: Settings) -> dict[str, Any]:
    """Without this, kombu checks no certificate at all."""
    ca_file = settings.redis_ca_file
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": None if ca_file is None else str(ca_file)}


def _of_sentinels(sentinels: Sentinels | None, settings: Settings) -> dict[str, Any]:
    if sentinels is None:
        return {}
    tls = {"ssl": True, **_trust(settings)} if sentinels.tls else {}
    return {
        "master_name": sentinels.service,
        "sentinel_kwargs": {**_PATIENCE, **sentinels.own.options(), **tls},
    }


def reach_broker(app: Celery) -> None:
    """Returns when it answered, raises whatever its transport raises; blocks for as long as that takes."""
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=_PUBLISH_TIMEOUT)


class Nudger:
    """Sends hints to workers, off the request path: one publisher per process, coalesced while it is busy.

    At most one hint per drain waits in the broker: it is sent by the process that marks it as sent in the store, and a
    claim clears that mark. Where a hint is lost the next claim does so: workers claim once a second.
    """

    def __init__(self, app: Celery, *, flag: Callable[[WorkQueue], Awaitable[bool]]) -> None:
        """``flag`` marks the drain's hint as sent; False: it was already."""
        self.app = app
        self._flag = flag
        self._wanted: dict[WorkQueue, None] = {}  # a set in the order of requests
        self._here: dict[WorkQueue, Callable[[], bool]] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = ThreadPoolExecutor(1, "nudger")  # kombu is synchronous
        self._log = log.get(__name__)
        self._task: asyncio.Task[None] | None = None

    def serve(self, drain: WorkQueue, look: Callable[[], bool]) -> None:
        """From now on this process looks itself instead of sending a message, unless ``look`` says it is full."""
        self._here[drain] = look

    def nudge(self, drain: WorkQueue) -> None:
        """Send a hint unless the drain's flag says that one is in the broker. Returns at once."""
        if (look := self._here.get(drain)) is not None and look():
            metrics.NUDGES.labels(drain, "here").inc()
            return
        self._wanted[drain] = None
        self._wake.set()
        self._idle.clear()

    async def idle(self) -> None:
        """Return once all hints that were requested are sent or were not needed, as tests want to know."""
        await self._idle.wait()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._publish_forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _publish_forever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            wanted, self._wanted = self._wanted, {}
            for drain in wanted:
                with contextlib.suppress(StoreUnavailable):
                    if await self._flag(drain):
                        await loop.run_in_executor(self._thread, self._publish, drain)
            if not self._wanted:
                self._idle.set()
            await asyncio.sleep(_COALESCE_SECONDS)

    def _publish(self, drain: WorkQueue) -> None:
        try:
            self.app.send_task(task_name(drain), queue=QUEUE_OF[drain])
            metrics.NUDGES.labels(drain, "sent").inc()
        except Exception as error:  # noqa: BLE001  (a hint: workers claim once a second without it)
            metrics.NUDGES.labels(drain, "failed").inc()
            self._log.warning("nudge failed", drain=drain, error=type(error).__name__)


class EverySecond(schedule):  # type: ignore[misc]  # Celery is not annotated
    """Celery's interval schedule on a clock that never goes back, so that a wall clock set back silences nothing.

    Beat's heap holds moments of this clock: after a step back they are due as soon as before it.
    """

    def __init__(self, run_every: float | timedelta = 1.0, *args: Any, **kwargs: Any) -> None:
        super().__init__(run_every, *args, **kwargs)
        self._latest: datetime | None = None
        self._set_back = timedelta()

    def now(self) -> datetime:
        found: datetime = super().now() + self._set_back
        if self._latest is not None and found < self._latest:
            self._set_back += self._latest - found
            found = self._latest
        self._latest = found
        return found

    def is_due(self, last_run_at: datetime) -> Any:
        """Treat a last run in the future as long past: its clock was ahead."""
        last, now = self.maybe_make_aware(last_run_at), self.maybe_make_aware(self.now())
        return super().is_due(last if last <= now else now - self.run_every)


def beat_schedule() -> dict[str, Any]:
    """Return beat's schedule: each drain gets a hint once a second, unless one is on its way."""
    every_second = EverySecond()  # one for all: moments of different clocks do not compare in beat's heap
    return {
        drain.value: {
            "task": task_name(drain),
            "schedule": every_second,
            "options": {"queue": QUEUE_OF[drain]},
        }
        for drain in WorkQueue
    }
