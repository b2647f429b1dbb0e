"""Connections of a process: Redis, fal, receivers, video store."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from service.clock import StoreClock
from service.config.settings import Settings
from service.domain.models.registry import Registry
from service.media.videos import VideoStore
from service.model_registry import registry_of
from service.net.image_probe import ImageProbe
from service.net.key_set_fetcher import KeySetFetcher
from service.net.resolver import Resolver
from service.net.ssrf import AddressGuard
from service.store.generations.changes import ChangeFeed
from service.store.queues.due import DueStore
from service.store.redis import health
from service.store.redis.client import CONNECTIONS, Redis
from service.store.redis.memory import MemoryPolicy
from service.tasks import Nudger, celery_app
from service.upstream.billing import FalBilling
from service.upstream.callback_verification import Verifier
from service.upstream.client import FalClient
from service.upstream.files import FalFiles
from service.upstream.hosts import FalHosts
from service.upstream.storage import FalStorage
from service.webhooks.sender import Sender

#: Connections to Redis for reports and lists; opened at the first one.
_REPORT_CONNECTIONS: Final = 1


@dataclass(frozen=True, slots=True)
class Connections:
    """Open clients of one process, and the address rules that they apply."""

    models: Registry
    redis: Redis
    reports: Redis
    """A connection of its own for reports and lists: a slow one delays no call of `redis`."""
    clock: StoreClock
    nudger: Nudger
    changes: ChangeFeed
    fal: FalClient
    fal_billing: FalBilling | None
    """None without an admin key of fal."""
    fal_files: FalFiles
    fal_hosts: FalHosts
    fal_storage: FalStorage
    verifier: Verifier
    image_probe: ImageProbe
    address_guard: AddressGuard
    sender: Sender
    key_sets: KeySetFetcher
    video_store: VideoStore | None
    """None without ``media_url``: videos stay at fal."""


@asynccontextmanager
async def open_connections(settings: Settings, clock: Callable[[], datetime]) -> AsyncIterator[Connections]:
    """Open all clients; close them in reverse order. ``clock``: local time, which Redis corrects."""
    guard = AddressGuard(settings.webhook_allowed_networks, allowed_hosts=settings.webhook_allowed_hosts)
    resolver, models, proxy = Resolver(), registry_of(settings), settings.fal_proxy_url
    hosts = FalHosts(settings.fal_media_hosts, (settings.fal_queue_url, settings.fal_rest_url))
    async with (
        _redis(settings) as redis,
        _redis(settings, connections=_REPORT_CONNECTIONS) as reports,
        _measured(redis, clock) as store_clock,
        Nudger(celery_app(settings), flag=DueStore(redis).flag_hint) as nudger,
        _fal(settings, models) as fal,
        Verifier(rest_url=settings.fal_rest_url, proxy=proxy) as verifier,
        _billing(settings) as billing,
        _storage(settings, hosts) as storage,
        FalFiles(hosts, proxy=proxy) as files,
        _sender(settings, guard, resolver, store_clock) as sender,
        ImageProbe(
            settings.preflight_allowed_networks, most_bytes=settings.preflight_bytes, resolver=resolver
        ) as probe,
        _key_sets(settings, resolver) as key_sets,
        ChangeFeed(redis) as changes,
    ):
        yield Connections(
            models=models,
            redis=redis,
            reports=reports,
            clock=store_clock,
            nudger=nudger,
            changes=changes,
            fal=fal,
            fal_billing=billing,
            fal_files=files,
            fal_hosts=hosts,
            fal_storage=storage,
            verifier=verifier,
            image_probe=probe,
            address_guard=guard,
            sender=sender,
            key_sets=key_sets,
            video_store=_video_store(settings),
        )


def _redis(settings: Settings, *, connections: int = CONNECTIONS) -> Redis:
    return Redis(
        settings.redis_url,
        timeout=settings.redis_timeout,
        connections=connections,
        ca_file=settings.redis_ca_file,
        wait_replicas=settings.redis_wait_replicas,
        memory=MemoryPolicy(settings.redis_memory_limit, settings.redis_create_share, settings.redis_tenant_share),
    )


@asynccontextmanager
async def _measured(redis: Redis, local: Callable[[], datetime]) -> AsyncIterator[StoreClock]:
    clock = StoreClock(local, read=partial(health.now, redis))
    async with clock.measuring():
        yield clock


def _fal(settings: Settings, models: Registry) -> FalClient:
    return FalClient(
        queue_url=settings.fal_queue_url,
        key=settings.fal_key.get_secret_value(),
        model=models.default.id,
        upstream=models.upstream,
        timeout=settings.fal_timeout.total_seconds(),
        proxy=settings.fal_proxy_url,
    )


def _storage(settings: Settings, hosts: FalHosts) -> FalStorage:
    return FalStorage(
        hosts,
        rest_url=settings.fal_rest_url,
        key=settings.fal_key.get_secret_value(),
        timeout=settings.fal_timeout.total_seconds(),
        proxy=settings.fal_proxy_url,
    )


def _sender(settings: Settings, guard: AddressGuard, resolver: Resolver, clock: StoreClock) -> Sender:
    return Sender(
        guard,
        timeout_seconds=settings.webhook_timeout.total_seconds(),
        max_connections=settings.webhook_concurrency,
        resolver=resolver,
        clock=clock,
    )


def _key_sets(settings: Settings, resolver: Resolver) -> KeySetFetcher:
    tls = None
    if settings.jwks_ca_file is not None:
        tls = ssl.create_default_context()
        tls.load_verify_locations(settings.jwks_ca_file)
    guard = AddressGuard(settings.jwks_allowed_networks, allowed_hosts=settings.jwks_allowed_hosts)
    return KeySetFetcher(guard, tls=tls, resolver=resolver)


def _video_store(settings: Settings) -> VideoStore | None:
    return None if settings.media_url is None else VideoStore(settings.media_url, proxy=settings.media_proxy_url)


def _billing(settings: Settings) -> AbstractAsyncContextManager[FalBilling | None]:
    if settings.fal_admin_key is None:
        return nullcontext()
    return FalBilling(
        api_url=settings.fal_api_url,
        key=settings.fal_admin_key.get_secret_value(),
        timeout=settings.fal_timeout.total_seconds(),
        proxy=settings.fal_proxy_url,
    )
