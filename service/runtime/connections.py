"""What is open towards the outside."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from service.clock import StoreClock
from service.config.settings import Settings
from service.media.videos import VideoStore
from service.net.image_probe import ImageProbe
from service.net.ssrf import AddressGuard
from service.store.generations.changes import ChangeFeed
from service.store.queues.due import DueStore
from service.store.redis import health
from service.store.redis.client import Redis
from service.store.redis.memory import MemoryPolicy
from service.tasks import Nudger, celery_app
from service.upstream.billing import FalBilling
from service.upstream.callback_verification import Verifier
from service.upstream.client import FalClient
from service.upstream.files import FalFiles
from service.upstream.hosts import FalHosts
from service.upstream.storage import FalStorage
from service.webhooks.sender import Sender


@dataclass(frozen=True, slots=True)
class Connections:
    """What is open towards the outside; closed in reverse order."""

    redis: Redis
    clock: StoreClock
    nudger: Nudger
    fal: FalClient
    verifier: Verifier
    billing: FalBilling | None
    storage: FalStorage
    files: FalFiles
    kept: VideoStore | None
    guard: AddressGuard
    sender: Sender
    viewer: ImageProbe
    hosts: FalHosts
    changes: ChangeFeed


@asynccontextmanager
async def open_connections(settings: Settings, clock: Callable[[], datetime]) -> AsyncIterator[Connections]:
    key, timeout = settings.fal_key.get_secret_value(), settings.fal_timeout.total_seconds()
    guard = AddressGuard(settings.webhook_allowed_networks, allowed_hosts=settings.webhook_allowed_hosts)
    hosts = FalHosts(settings.fal_media_hosts, (settings.fal_queue_url, settings.fal_rest_url))
    kept = None if settings.media_url is None else VideoStore(settings.media_url)
    async with (
        Redis(
            settings.redis_url,
            timeout=settings.redis_timeout,
            ca_file=settings.redis_ca_file,
            wait_replicas=settings.redis_wait_replicas,
            memory=MemoryPolicy(settings.redis_memory_limit, settings.redis_create_share),
        ) as redis,
        _measured(redis, clock) as store_clock,
        Nudger(celery_app(settings), flag=DueStore(redis).flag_hint) as nudger,
        FalClient(queue_url=settings.fal_queue_url, key=key, model=settings.fal_model, timeout=timeout) as fal,
        Verifier(rest_url=settings.fal_rest_url) as verifier,
        _billing(settings) as billing,
        FalStorage(rest_url=settings.fal_rest_url, key=key, timeout=timeout) as storage,
        FalFiles(hosts) as files,
        Sender(
            guard,
            timeout_seconds=settings.webhook_timeout.total_seconds(),
            max_connections=settings.webhook_concurrency,
            clock=store_clock,
        ) as sender,
        ImageProbe(settings.preflight_allowed_networks, most_bytes=settings.preflight_bytes) as viewer,
        ChangeFeed(redis) as changes,
    ):
        yield Connections(
            redis,
            store_clock,
            nudger,
            fal,
            verifier,
            billing,
            storage,
            files,
            kept,
            guard,
            sender,
            viewer,
            hosts,
            changes,
        )


@asynccontextmanager
async def _measured(redis: Redis, local: Callable[[], datetime]) -> AsyncIterator[StoreClock]:
    clock = StoreClock(local, read=partial(health.now, redis))
    async with clock.kept_measured():
        yield clock


def _billing(settings: Settings) -> AbstractAsyncContextManager[FalBilling | None]:
    if settings.fal_admin_key is None:
        return nullcontext()
    return FalBilling(
        api_url=settings.fal_api_url,
        key=settings.fal_admin_key.get_secret_value(),
        endpoint_id=settings.fal_model,
        timeout=settings.fal_timeout.total_seconds(),
    )
