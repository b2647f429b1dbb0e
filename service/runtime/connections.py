"""Connections of a process (Redis, fal, receivers, video store) and the stores over Redis."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from service.clock import StoreClock
from service.config.settings import Settings
from service.domain.dispatch_gate import Ramp
from service.domain.models.registry import Registry
from service.domain.webhook_endpoint import Patience
from service.media.videos import VideoStore
from service.model_registry import registry_of
from service.net.image_probe import ImageProbe
from service.net.key_set_fetcher import KeySetFetcher
from service.net.resolver import Resolver
from service.net.ssrf import AddressGuard
from service.store.bulk.bulk_jobs import BulkJobStore
from service.store.console.logins import ConsoleLoginStore
from service.store.console.sessions import ConsoleSessionStore
from service.store.gate.gate import GateStore
from service.store.generations.callbacks import CallbackStore
from service.store.generations.changes import ChangeFeed
from service.store.generations.generations import GenerationStore
from service.store.generations.in_flight import InFlightStore
from service.store.generations.indexing import IndexingStore
from service.store.generations.measurements import MeasurementStore
from service.store.generations.read import GenerationReader
from service.store.generations.response_receipts import ResponseReceiptStore
from service.store.generations.submissions import SubmissionStore
from service.store.money.adjustments import AdjustmentStore
from service.store.money.audits import AuditStore
from service.store.money.budget_shares import BudgetShareStore
from service.store.money.ledger_lines import LedgerLines
from service.store.money.money import MoneyStore
from service.store.money.prices import PriceStore
from service.store.money.refusals import RefusalStore
from service.store.money.usage import UsageStore
from service.store.money.usage_reports import UsageReportStore
from service.store.money.usage_rows import UsageRowStore
from service.store.operators.operators import OperatorStore
from service.store.queues.due import DueStore
from service.store.queues.tenant_queue import QueueStore
from service.store.redis import health
from service.store.redis.client import CONNECTIONS, Redis
from service.store.redis.memory import MemoryPolicy
from service.store.state.heartbeats import HeartbeatStore
from service.store.state.status import StatusStore
from service.store.state.stored_bytes import StoredBytesStore
from service.store.tenants.end_user_lists import EndUserLists
from service.store.tenants.end_users import EndUserStore
from service.store.tenants.erasures import ErasureStore
from service.store.tenants.overview import OverviewStore
from service.store.tenants.rates import RateLimiter
from service.store.tenants.sealing import Purpose, Sealer
from service.store.tenants.tenants import TenantStore
from service.store.tenants.trusted_issuers import TrustedIssuerStore
from service.store.tenants.upload_tickets import UploadTicketStore
from service.store.tenants.waiting import WaitingTenantStore
from service.store.trail.checks import TrailCheckStore
from service.store.trail.reading import TrailReader
from service.store.trail.trail import TrailStore
from service.store.webhooks.deliveries import DeliveryStore
from service.store.webhooks.delivery_log import DeliveryLog
from service.store.webhooks.endpoints import EndpointStore
from service.store.webhooks.receivers import ReceiverStore
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
    key, timeout = settings.fal_key.get_secret_value(), settings.fal_timeout.total_seconds()
    guard = AddressGuard(settings.webhook_allowed_networks, allowed_hosts=settings.webhook_allowed_hosts)
    resolver, proxy = Resolver(), settings.fal_proxy_url
    models = registry_of(settings)
    hosts = FalHosts(settings.fal_media_hosts, (settings.fal_queue_url, settings.fal_rest_url))
    async with (
        _redis(settings) as redis,
        _redis(settings, connections=_REPORT_CONNECTIONS) as reports,
        _measured(redis, clock) as store_clock,
        Nudger(celery_app(settings), flag=DueStore(redis).flag_hint) as nudger,
        FalClient(
            queue_url=settings.fal_queue_url,
            key=key,
            model=models.default.id,
            upstream=models.upstream,
            timeout=timeout,
            proxy=proxy,
        ) as fal,
        Verifier(rest_url=settings.fal_rest_url, proxy=proxy) as verifier,
        _billing(settings) as billing,
        FalStorage(hosts, rest_url=settings.fal_rest_url, key=key, timeout=timeout, proxy=proxy) as storage,
        FalFiles(hosts, proxy=proxy) as files,
        Sender(
            guard,
            timeout_seconds=settings.webhook_timeout.total_seconds(),
            max_connections=settings.webhook_concurrency,
            resolver=resolver,
            clock=store_clock,
        ) as sender,
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


class Stores:
    """All stores. Those for reports, lists and audits use ``reports``: by default the same client as the others."""

    def __init__(self, redis: Redis, settings: Settings, *, reports: Redis | None = None) -> None:
        reports = redis if reports is None else reports
        self.generations = GenerationStore(redis)
        self.callbacks = CallbackStore(redis)
        self.due = DueStore(redis)
        self.queue = QueueStore(redis)
        self.submissions = SubmissionStore(redis)
        self.ramp = Ramp.of(
            settings.upstream_concurrency, settings.unconfirmed_slots_share, submit_timeout=settings.fal_timeout
        )
        self.gate = GateStore(
            redis,
            failures=settings.submit_failures,
            first_probe=settings.submit_probe,
            last_probe=settings.submit_probe_longest,
            most=self.ramp.most,
        )
        self.deliveries = DeliveryStore(redis, patience=Patience(settings.webhook_disable_after))
        self.delivery_log = DeliveryLog(redis, self.deliveries, reports=reports)
        self.money = MoneyStore(redis)
        self.usage = UsageStore(reports)
        self.usage_rows = UsageRowStore(reports)
        self.refusals = RefusalStore(redis)
        self.budget_shares = BudgetShareStore(redis)
        self.status = StatusStore(redis)
        self.waiting_tenants = WaitingTenantStore(redis)
        self.usage_reports = UsageReportStore(reports)
        self.ledger = MoneyStore(reports)
        self.ledger_lines = LedgerLines(reports)
        self.generation_lists = GenerationReader(reports)
        self.in_flight = InFlightStore(reports)
        self.indexing = IndexingStore(redis)
        self.audits = AuditStore(redis)
        self.adjustments = AdjustmentStore(redis)
        self.prices = PriceStore(redis)
        self.end_users = EndUserStore(redis)
        self.end_user_lists = EndUserLists(reports)
        self.overviews = OverviewStore(redis)
        self.erasures = ErasureStore(redis)
        self.bulk_jobs = BulkJobStore(redis)
        self.operators = OperatorStore(redis)
        self.trail = TrailStore(redis, retention=settings.trail_retention)
        self.trail_reader = TrailReader(reports)
        self.trail_checks = TrailCheckStore(redis)
        self.rates = RateLimiter(redis)
        self.console_sessions = ConsoleSessionStore(redis)
        self.console_logins = ConsoleLoginStore(redis)
        self.heartbeats = HeartbeatStore(redis)
        self.stored_bytes = StoredBytesStore(redis)
        self.response_receipts = ResponseReceiptStore(redis)
        secret_keys = settings.secret_keys()
        self.tenants = TenantStore(redis, Sealer(secret_keys, Purpose.TENANTS))
        self.trusted_issuers = TrustedIssuerStore(redis, self.tenants)
        self.endpoints = EndpointStore(redis, Sealer(secret_keys, Purpose.ENDPOINTS))
        self.receivers = ReceiverStore(redis, self.endpoints)
        self.measurements = MeasurementStore(redis)
        self.upload_tickets = UploadTicketStore(redis, Sealer(secret_keys, Purpose.UPLOAD_TICKETS))
        self.ticket_sealer = Sealer(secret_keys, Purpose.ACCESS_TICKETS)
