"""What gateway and workers agree on: the drains, their task and queue names, and how to say "drain now"."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Self

from celery import Celery
from kombu.entity import Exchange, Queue

from service import log, metrics
from service.domain.drain import Drain
from service.sentinels import Sentinels
from service.settings import Settings


def task_name(drain: Drain) -> str:
    """Gateway and workers agree on names, not on code."""
    return f"workers.tasks.{drain}"


#: ``dispatch`` talks to fal, ``webhooks`` to strangers, ``maintenance`` seldom to anybody: three failures, three lanes.
QUEUE_OF: Final = {
    Drain.DISPATCH: "dispatch",
    Drain.POLL: "dispatch",
    Drain.DELIVER: "webhooks",
    Drain.SWEEP: "maintenance",
}
QUEUES: Final = tuple(dict.fromkeys(QUEUE_OF.values()))

#: Seconds after which a hint that nobody took is worthless: beat has sent newer ones. Generous, because expiry
#: compares two machines' clocks.
MESSAGE_EXPIRY: Final = 60
_COALESCE_SECONDS: Final = 0.003
_PUBLISH_TIMEOUT: Final = 5.0
_PATIENCE: Final = {"socket_timeout": _PUBLISH_TIMEOUT, "socket_connect_timeout": _PUBLISH_TIMEOUT}


def celery_app(settings: Settings) -> Celery:
    """Celery configured the one way this project uses it; the workers add their tasks to it."""
    url = settings.broker_url or settings.redis_url
    sentinels = Sentinels.parse(url)
    app = Celery("workers", broker=url if sentinels is None else sentinels.broker_url())
    app.conf.update(
        # Each its own exchange and key: by default all queues share one, and every message reaches them all.
        task_queues=[Queue(name, Exchange(name), routing_key=name) for name in QUEUES],
        task_routes={task_name(drain): {"queue": QUEUE_OF[drain]} for drain in Drain},
        task_create_missing_queues=False,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_pool_limit=2,
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
    """Tells workers to drain, off the request path: one publisher per process, nudges coalesced while it is busy."""

    def __init__(self, app: Celery) -> None:
        self.app = app
        self._wanted: dict[Drain, None] = {}  # a set in the order it was asked in
        self._here: dict[Drain, Callable[[], bool]] = {}
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "nudger")  # kombu is synchronous
        self._log = log.get(__name__)
        self._task: asyncio.Task[None] | None = None

    def serve(self, drain: Drain, look: Callable[[], bool]) -> None:
        """From now on this process looks itself instead of sending a message, unless ``look`` says it is full."""
        self._here[drain] = look

    def nudge(self, drain: Drain) -> None:
        """Returns at once; the message leaves within a few milliseconds. Lost nudges are beat's business."""
        if (look := self._here.get(drain)) is not None and look():
            metrics.NUDGES.labels(drain, "here").inc()
            return
        self._wanted[drain] = None
        self._wake.set()

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
                await loop.run_in_executor(self._thread, self._publish, drain)
            await asyncio.sleep(_COALESCE_SECONDS)

    def _publish(self, drain: Drain) -> None:
        try:
            self.app.send_task(task_name(drain), queue=QUEUE_OF[drain], expires=MESSAGE_EXPIRY)
            metrics.NUDGES.labels(drain, "sent").inc()
        except Exception as error:  # noqa: BLE001  (a hint: any broker trouble is survivable, beat repeats it)
            metrics.NUDGES.labels(drain, "failed").inc()
            self._log.warning("nudge failed", drain=drain, error=type(error).__name__)


def beat_schedule() -> dict[str, Any]:
    """Once a second every drain is told to look: promptness comes from nudges, certainty from here."""
    return {
        drain.value: {
            "task": task_name(drain),
            "schedule": 1.0,
            "options": {"queue": QUEUE_OF[drain], "expires": MESSAGE_EXPIRY},
        }
        for drain in Drain
    }
