"""Celery as the gateway and the workers share it: task and queue names, the configured app, hints, beat's schedule.

A hint is a message that tells a worker to claim. Losing one delays nothing by more than a second.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from celery import Celery
from celery.schedules import schedule
from kombu.entity import Exchange, Queue
from kombu.utils.url import parse_url

from service.config.redis_urls import Sentinels, UnixSocket
from service.config.settings import Settings
from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.observability import metrics
from service.observability.outages import OutageLog
from service.repeating import repeating


def task_name(work_queue: WorkQueue) -> str:
    """Return the task of a work queue. The gateway sends tasks by name and does not import the workers."""
    return f"workers.tasks.{work_queue}"


#: One Celery queue for each kind of peer, so that a slow one does not delay the others: ``dispatch`` calls fal,
#: ``webhooks`` calls receivers, ``maintenance`` mostly calls Redis alone.
QUEUE_OF: Final = {
    WorkQueue.DISPATCH: "dispatch",
    WorkQueue.POLL: "dispatch",
    WorkQueue.DELIVER: "webhooks",
    WorkQueue.SWEEP: "maintenance",
}
QUEUES: Final = tuple(dict.fromkeys(QUEUE_OF.values()))

_COALESCE_SECONDS: Final = 0.003
_PUBLISH_TIMEOUT: Final = 5.0
_TIMEOUTS: Final = {"socket_timeout": _PUBLISH_TIMEOUT, "socket_connect_timeout": _PUBLISH_TIMEOUT}


def celery_app(settings: Settings) -> Celery:
    """Return the configured Celery app. The workers add their tasks to it."""
    url = settings.broker_url or settings.redis_url
    sentinels, unix_socket = Sentinels.parse(url), UnixSocket.parse(url)
    mapped = sentinels or unix_socket
    app = Celery("workers", broker=_without_tls_options(url) if mapped is None else mapped.broker_url())
    app.settings = settings  # for beat's scheduler, which Celery constructs from the app alone
    app.conf.update(
        # Each queue has its own exchange and routing key. By default all queues share one exchange, and each message
        # is delivered to all of them.
        # No acknowledgements: a full Redis refuses the record of an unacknowledged message. See service/broker.py.
        task_queues=[Queue(name, Exchange(name), routing_key=name, no_ack=True) for name in QUEUES],
        task_routes={task_name(work_queue): {"queue": queue} for work_queue, queue in QUEUE_OF.items()},
        task_create_missing_queues=False,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,  # without this, a refusal by a full Redis ends the worker process
        broker_pool_limit=2,
        broker_transport=_transport(url, sentinels),
        broker_use_ssl=_tls_options(settings, url) if _uses_tls(url, sentinels) else None,
        broker_transport_options={
            **_TIMEOUTS,
            "max_retries": 1,
            "global_keyprefix": "{sg}:broker:",
            **_sentinel_options(sentinels, settings),
        },
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,  # who reaches the broker could stop workers; nothing here uses it
        enable_utc=True,
    )
    return app


def _transport(url: str, sentinels: Sentinels | None) -> str | None:
    """Return the class of the transport; None for another broker than Redis, which Celery chooses by its URL."""
    if sentinels is not None:
        return "service.broker:SentinelTransport"
    if url.startswith("unix://"):
        return "service.broker:SocketTransport"
    return "service.broker:Transport" if url.startswith(("redis://", "rediss://")) else None


def _uses_tls(url: str, sentinels: Sentinels | None) -> bool:
    return url.startswith("rediss://") if sentinels is None else sentinels.tls


def _tls_options(settings: Settings, url: str) -> dict[str, Any]:
    """Require a valid certificate: by default kombu checks none. The URL may name the certificate of the client."""
    ca_file = settings.redis_ca_file
    options = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": None if ca_file is None else str(ca_file)}
    return options | (parse_url(url).get("ssl", {}) if url.startswith("rediss://") else {})


def _without_tls_options(url: str) -> str:
    """Remove the TLS options of a ``rediss://`` URL. kombu would use them in place of ``_tls_options``."""
    parts = urlsplit(url)
    if parts.scheme != "rediss":
        return url
    rest = [(name, value) for name, value in parse_qsl(parts.query) if not name.startswith("ssl_")]
    return urlunsplit(parts._replace(query=urlencode(rest)))


def _sentinel_options(sentinels: Sentinels | None, settings: Settings) -> dict[str, Any]:
    if sentinels is None:
        return {}
    tls = {"ssl": True, **_tls_options(settings, "")} if sentinels.tls else {}
    return {
        "master_name": sentinels.service,
        "sentinel_kwargs": {**_TIMEOUTS, **sentinels.sentinel.options(), **tls},
    }


def reach_broker(app: Celery) -> None:
    """Connect to the broker. Blocks for up to its timeouts, and raises what its transport raises."""
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=_PUBLISH_TIMEOUT)


class Nudger:
    """Sends hints to workers, off the request path: one publishing thread for each process.

    Requests that come while the thread is busy are coalesced. At most one hint for each work queue waits in the broker:
    only the process that sets the queue's flag in Redis sends a hint, and a claim clears the flag. If a hint is lost,
    the flag is cleared by the next claim, since workers claim once a second without hints.
    """

    def __init__(self, app: Celery, *, flag: Callable[[WorkQueue], Awaitable[bool]]) -> None:
        """``flag`` sets the flag of a work queue's hint in Redis. It returns False if the flag was set already."""
        self.app = app
        self._flag = flag
        self._requested: dict[WorkQueue, None] = {}  # a set in the order of requests
        self._local: dict[WorkQueue, Callable[[], bool]] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = ThreadPoolExecutor(1, "nudger")  # kombu is synchronous
        self._outage = OutageLog("broker")
        self._publishing = repeating(self._publish_requested, name="nudger", pause=_COALESCE_SECONDS)

    def serve(self, work_queue: WorkQueue, claim_soon: Callable[[], bool]) -> None:
        """Let this process claim instead of sending hints. A hint is sent only while ``claim_soon`` returns False."""
        self._local[work_queue] = claim_soon

    def nudge(self, work_queue: WorkQueue) -> None:
        """Request a hint. It is sent unless the flag says that one is in the broker. Returns at once."""
        if (claim_soon := self._local.get(work_queue)) is not None and claim_soon():
            metrics.NUDGES.labels(work_queue, "local").inc()
            return
        self._requested[work_queue] = None
        self._wake.set()
        self._idle.clear()

    def nudge_all(self, work_queues: Iterable[WorkQueue]) -> None:
        for work_queue in work_queues:
            self.nudge(work_queue)

    async def idle(self) -> None:
        """Wait until each requested hint is sent or found unnecessary."""
        await self._idle.wait()

    async def __aenter__(self) -> Self:
        await self._publishing.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._publishing.__aexit__(None, None, None)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _publish_requested(self) -> None:
        await self._wake.wait()
        self._wake.clear()
        requested, self._requested = self._requested, {}
        try:
            for work_queue in requested:
                with contextlib.suppress(StoreUnavailable):
                    if await self._flag(work_queue):
                        await asyncio.get_running_loop().run_in_executor(self._thread, self._publish, work_queue)
        finally:
            if not self._requested:
                self._idle.set()

    def _publish(self, work_queue: WorkQueue) -> None:
        try:
            self.app.send_task(task_name(work_queue), queue=QUEUE_OF[work_queue])
            metrics.NUDGES.labels(work_queue, "sent").inc()
            self._outage.succeeded()
        except Exception as error:  # noqa: BLE001  (a hint: workers claim once a second without it)
            metrics.NUDGES.labels(work_queue, "failed").inc()
            self._outage.failed(error)


class EverySecond(schedule):  # type: ignore[misc]  # Celery is not annotated
    """Celery's interval schedule on a clock that never goes back.

    Beat's heap holds times of this clock. After the wall clock is set back they are due as soon as before, so that no
    entry stops.
    """

    def __init__(self, run_every: float | timedelta = 1.0, *args: Any, **kwargs: Any) -> None:
        super().__init__(run_every, *args, **kwargs)
        self._latest: datetime | None = None
        self._set_back = timedelta()

    def now(self) -> datetime:
        now: datetime = super().now() + self._set_back
        if self._latest is not None and now < self._latest:
            self._set_back += self._latest - now
            now = self._latest
        self._latest = now
        return now

    def is_due(self, last_run_at: datetime) -> Any:
        """Treat a last run in the future as due: the wall clock was ahead then."""
        last, now = self.maybe_make_aware(last_run_at), self.maybe_make_aware(self.now())
        return super().is_due(last if last <= now else now - self.run_every)


def beat_schedule() -> dict[str, Any]:
    """Return beat's schedule: a hint for each work queue once a second, unless one is in the broker."""
    every_second = EverySecond()  # one for all entries: times of different clocks do not compare in beat's heap
    return {
        work_queue.value: {
            "task": task_name(work_queue),
            "schedule": every_second,
            "options": {"queue": QUEUE_OF[work_queue]},
        }
        for work_queue in WorkQueue
    }
