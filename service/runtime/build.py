"""Runtime of a process: its connections, its stores, and its use cases grouped by noun."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from service.clock import StoreClock, SystemClock
from service.config.settings import Settings
from service.domain.models.clip_limits import most_bytes
from service.domain.models.forms import RequestForms
from service.domain.models.registry import Registry
from service.domain.request import RequestLimits
from service.domain.tenant import Limits
from service.media.clips.measurer import Measurer
from service.media.decoder_slots import DecoderSlots
from service.media.inspector import Inspector
from service.observability import metrics
from service.runtime.connections import Connections, Stores, open_connections
from service.runtime.consumers import Core, WorkQueues, build_core
from service.runtime.openid import openid_logins
from service.store.redis.client import Redis
from service.store.state.state import StateStore
from service.upstream.schemas import FalSchemas
from service.upstream.storage import FalStorage
from service.usecases.console.identity import Identities
from service.usecases.console.login import ConsoleLogin
from service.usecases.console.sessions import ConsoleSessions
from service.usecases.generations.admission import Admission
from service.usecases.generations.byte_limits import ByteLimiter
from service.usecases.generations.cancel import GenerationCanceller
from service.usecases.generations.clips import Clips
from service.usecases.generations.completions import Drafts
from service.usecases.generations.concurrency import DownloadLimiter, LongPollLimiter
from service.usecases.generations.create import GenerationCreator
from service.usecases.generations.images import Images
from service.usecases.generations.inline_files import InlineFiles
from service.usecases.generations.queue_estimate import QueueEstimator
from service.usecases.generations.read import GenerationReader
from service.usecases.generations.refusal_counts import RefusalCounts
from service.usecases.generations.resends import ResendDetector
from service.usecases.generations.stream import StreamHub
from service.usecases.generations.uploads import Uploads
from service.usecases.generations.videos import Videos
from service.usecases.lifecycle.dispatch_gate import DispatchGate
from service.usecases.lifecycle.fal_callbacks import Callbacks
from service.usecases.lifecycle.transition_service import TransitionService
from service.usecases.operations import metric_series
from service.usecases.operations.account_metrics import AccountMetrics
from service.usecases.operations.adjustments import AdjustmentService
from service.usecases.operations.audit import Audit
from service.usecases.operations.audit_jobs import AuditJobs
from service.usecases.operations.bulk.jobs import BulkJobs
from service.usecases.operations.desk import UnconfirmedDesk
from service.usecases.operations.doctor import Doctor
from service.usecases.operations.generation_filters import GenerationFilters
from service.usecases.operations.generation_ledger import GenerationLedgers
from service.usecases.operations.generations import GenerationSearch
from service.usecases.operations.readiness import Readiness
from service.usecases.operations.status import StatusService
from service.usecases.operations.unconfirmed import UnconfirmedService
from service.usecases.operations.usage import AccountUsage
from service.usecases.operations.usage_lists import UsageLists
from service.usecases.operators.authentication import OperatorAuthenticator
from service.usecases.operators.operators import Operators
from service.usecases.tenants.access_tickets import AccessTickets
from service.usecases.tenants.authentication import Authenticator
from service.usecases.tenants.end_users import EndUsers
from service.usecases.tenants.key_sets import KeySets
from service.usecases.tenants.open_calls import OpenCalls
from service.usecases.tenants.overview import Overviews
from service.usecases.tenants.read_limiter import ReadLimiter
from service.usecases.tenants.tenants import Tenants
from service.usecases.tenants.token_authentication import TokenAuthenticator
from service.usecases.tenants.trusted_issuers import TrustedIssuers
from service.usecases.tenants.usage import Usage
from service.usecases.tenants.usage_reports import UsageReports
from service.usecases.trail.pages import TrailPages
from service.usecases.trail.trail import Trail
from service.usecases.trail.verification import TrailVerification
from service.usecases.webhooks.endpoints import Endpoints
from service.usecases.webhooks.operator_deliveries import OperatorDeliveries
from service.usecases.webhooks.recipients import RecipientService
from service.usecases.webhooks.redelivery import DeliveryService

if TYPE_CHECKING:  # Authlib is loaded where a login by OpenID Connect is set up
    from service.usecases.operators.openid import OpenIdLogins


@dataclass(frozen=True, slots=True)
class GenerationServices:
    """Create, read, list, cancel and follow generations; images in and videos out."""

    creator: GenerationCreator
    reader: GenerationReader
    canceller: GenerationCanceller
    resends: ResendDetector
    admission: Admission
    refusals: RefusalCounts
    models: Registry
    forms: RequestForms
    fal_forms: RequestForms
    queue_estimator: QueueEstimator
    long_polls: LongPollLimiter
    streams: StreamHub
    fal_callbacks: Callbacks
    fal_storage: FalStorage
    images: Images
    uploads: Uploads
    body_memory: ByteLimiter
    videos: Videos


@dataclass(frozen=True, slots=True)
class TenantServices:
    """Tenants with their API keys, end users and usage."""

    service: Tenants
    authenticator: Authenticator
    end_users: EndUsers
    usage: Usage
    usage_reports: UsageReports
    open_calls: OpenCalls
    overviews: Overviews
    access_tickets: AccessTickets
    trusted_issuers: TrustedIssuers
    key_sets: KeySets


@dataclass(frozen=True, slots=True)
class WebhookServices:
    """Webhook endpoints, and the list and replay of deliveries."""

    endpoints: Endpoints
    deliveries: DeliveryService
    all_deliveries: OperatorDeliveries
    """Of all tenants, for operators."""
    recipients: RecipientService


@dataclass(frozen=True, slots=True)
class OperationServices:
    """Tools of operators."""

    gate: DispatchGate
    generations: GenerationSearch
    unconfirmed: UnconfirmedService
    desk: UnconfirmedDesk
    adjustments: AdjustmentService
    usage: AccountUsage
    usage_lists: UsageLists
    ledgers: GenerationLedgers
    audit: Audit
    audit_jobs: AuditJobs
    bulk_jobs: BulkJobs
    account_metrics: AccountMetrics
    doctor: Doctor
    readiness: Readiness
    status: StatusService


@dataclass(frozen=True, slots=True)
class ConsoleServices:
    """Login and sessions of people."""

    login: ConsoleLogin
    sessions: ConsoleSessions


@dataclass(frozen=True, slots=True)
class OperatorServices:
    """Operators and their authentication."""

    service: Operators
    authenticator: OperatorAuthenticator
    openid: "OpenIdLogins | None"
    """None: no issuer is set."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything that a process needs, open."""

    settings: Settings
    connections: Connections
    stores: Stores
    transitions: TransitionService
    generations: GenerationServices
    tenants: TenantServices
    webhooks: WebhookServices
    operations: OperationServices
    operators: OperatorServices
    trail: Trail
    trail_pages: TrailPages
    chain: TrailVerification
    console: ConsoleServices
    queues: WorkQueues

    @property
    def redis(self) -> Redis:
        return self.connections.redis

    @property
    def clock(self) -> StoreClock:
        return self.connections.clock


@asynccontextmanager
async def open_runtime(settings: Settings, *, clock: Callable[[], datetime] | None = None) -> AsyncIterator[Runtime]:
    """Open connections, build stores and use cases, close all in reverse order.

    ``clock``: local time, which Redis corrects; by default this machine's.
    """
    metric_series.begin()
    async with open_connections(settings, clock or SystemClock()) as connections:
        runtime = _build(build_core(settings, connections))
        try:
            async with runtime.generations.refusals.flushing():
                yield runtime
        finally:
            await runtime.tenants.key_sets.close()
            await runtime.queues.close()
            if runtime.operators.openid is not None:
                await runtime.operators.openid.close()


def _build(core: Core) -> Runtime:
    settings, connections, stores, clock = core.settings, core.connections, core.stores, core.clock
    tenants = Tenants(stores.tenants, stores.endpoints, default_limits=_default_limits(settings), clock=clock)
    reads = ReadLimiter(per_request=settings.reads_per_request, per_tenant=settings.reads_per_tenant, clock=clock)
    key_sets = KeySets(connections.key_sets, clock=clock)
    tokens = TokenAuthenticator(stores.trusted_issuers, key_sets, leeway=settings.jwt_leeway, clock=clock)
    authenticator = Authenticator(stores.tenants, tokens, stores.rates, reads, clock=clock)
    generations, operators, webhooks = _generations(core), _operators(core), _webhooks(core, tenants)
    return Runtime(
        settings=settings,
        connections=connections,
        stores=stores,
        transitions=core.transitions,
        generations=generations,
        tenants=TenantServices(
            service=tenants,
            authenticator=authenticator,
            end_users=EndUsers(stores.end_users, stores.end_user_lists, core.erasure_jobs, core.reads, clock=clock),
            usage=Usage(stores.usage, stores.usage_rows, stores.money, core.reads, clock=clock),
            usage_reports=core.usage_reports,
            open_calls=OpenCalls(authenticator),
            overviews=Overviews(stores.overviews, generations.queue_estimator, clock=clock),
            trusted_issuers=TrustedIssuers(stores.trusted_issuers, tenants, key_sets, clock=clock),
            key_sets=key_sets,
            access_tickets=AccessTickets(stores.ticket_sealer, clock=clock),
        ),
        webhooks=webhooks,
        operations=_operations(core, tenants, operators.service, generations.canceller),
        operators=operators,
        trail=core.trail,
        trail_pages=TrailPages(core.stores.trail_reader),
        chain=core.chain,
        console=_console(core, authenticator, operators.authenticator),
        queues=WorkQueues(core),
    )


def _default_limits(settings: Settings) -> Limits:
    return Limits(
        requests_per_minute=settings.default_requests_per_minute,
        queued_generations=settings.default_queued_generations,
        concurrent_generations=settings.default_concurrent_generations,
        daily_generations=settings.default_daily_generations,
        daily_new_end_users=settings.default_daily_new_end_users,
        stored_deliveries=settings.default_stored_deliveries,
        undelivered_tests=settings.default_undelivered_tests,
        webhook_endpoints=settings.default_webhook_endpoints,
        monthly_budget=_micro(settings.default_monthly_budget_usd),
        end_user_daily_budget=_micro(settings.default_end_user_daily_budget_usd),
        end_user_daily_count=settings.default_end_user_daily_count,
    )


def _micro(dollars: Decimal | None) -> int | None:
    return None if dollars is None else int(dollars * 1_000_000)


def _generations(core: Core) -> GenerationServices:
    settings, connections, stores, clock = core.settings, core.connections, core.stores, core.clock
    limits = RequestLimits(settings.max_prompt_characters, settings.resolutions, settings.bitrate_modes)
    longest = max(settings.max_prompt_characters, settings.max_fal_prompt_characters)
    admission = Admission(
        stores.money,
        connections.address_guard,
        prices=core.prices,
        input_seconds=stores.measurements,
        models=connections.models,
        account_budget=settings.account_daily_budget,
        accepted=limits,
        clock=clock,
    )
    decoders, disk = DecoderSlots(), ByteLimiter("disk", total=settings.upload_disk, tenant=settings.upload_tenant_disk)
    images = Images(
        Inspector(most_pixels=settings.max_image_pixels, most_bytes=settings.max_upload_bytes, slots=decoders),
        connections.fal_storage,
        disk,
        max_bytes=settings.max_upload_bytes,
        timeout=settings.upload_timeout,
        clock=clock,
    )
    clips = Clips(
        Measurer(decoders),
        stores.measurements,
        connections.fal_storage,
        disk,
        most_bytes={
            kind: min(size, settings.upload_tenant_disk)
            for kind, size in most_bytes(connections.models.enabled.values()).items()
        },
        timeout=settings.upload_timeout,
        clock=clock,
    )
    for model_id in connections.models.enabled:
        metrics.ACCEPTED_BY_MODEL.labels(model_id)  # a counter that begins at zero shows its first increase
    reader = GenerationReader(stores.generations, connections.changes, lists=stores.generation_lists, reads=core.reads)
    refusals = RefusalCounts(stores.refusals, clock=clock)
    creator = GenerationCreator(
        stores.generations,
        admission,
        InlineFiles(images, clips),
        reader,
        Drafts(reader, connections.models, core.prices, clock=clock),
        connections.nudger,
        refusals,
        queue_expiry=settings.queue_expiry,
        clock=clock,
    )
    estimator = QueueEstimator(stores.queue, stores.gate, slots=settings.upstream_concurrency)
    return GenerationServices(
        creator=creator,
        reader=reader,
        canceller=GenerationCanceller(reader, core.transitions, clock=clock),
        resends=ResendDetector(creator, stores.response_receipts, window=settings.resend_window, clock=clock),
        admission=admission,
        refusals=refusals,
        models=connections.models,
        forms=RequestForms(connections.models, limits),
        fal_forms=RequestForms(connections.models, replace(limits, prompt_characters=longest)),
        queue_estimator=estimator,
        long_polls=LongPollLimiter(limit=settings.waiting_calls),
        streams=StreamHub(stores.generations, connections.changes, estimator, tenant_limit=settings.event_streams),
        fal_callbacks=Callbacks(stores.callbacks, connections.verifier, connections.nudger, clock=clock),
        fal_storage=connections.fal_storage,
        images=images,
        uploads=Uploads(images, clips),
        body_memory=ByteLimiter("memory", total=settings.body_memory, tenant=settings.body_tenant_memory),
        videos=Videos(
            reader,
            connections.video_store,
            redirect=settings.media_redirect,
            limiter=DownloadLimiter(limit=settings.video_downloads, total=settings.video_downloads_total),
        ),
    )


def _webhooks(core: Core, tenants: Tenants) -> WebhookServices:
    settings, connections, stores, clock = core.settings, core.connections, core.stores, core.clock
    return WebhookServices(
        endpoints=Endpoints(
            stores.endpoints,
            tenants,
            connections.sender,
            connections.nudger,
            retention=settings.retention,
            disable_after=settings.webhook_disable_after,
            clock=clock,
        ),
        deliveries=core.deliveries,
        all_deliveries=OperatorDeliveries(
            stores.deliveries,
            stores.delivery_log,
            stores.endpoints,
            stores.receivers,
            stores.generations,
            core.deliveries,
            tenants,
            clock=clock,
        ),
        recipients=RecipientService(stores.endpoints),
    )


def _operators(core: Core) -> OperatorServices:
    store, token = core.stores.operators, core.settings.admin_token
    admin_token = None if token is None else token.get_secret_value()
    return OperatorServices(
        service=Operators(store, has_admin_token=token is not None, clock=core.clock),
        authenticator=OperatorAuthenticator(store, admin_token=admin_token, clock=core.clock),
        openid=openid_logins(core),
    )


def _console(core: Core, authenticator: Authenticator, operators: OperatorAuthenticator) -> ConsoleServices:
    settings = core.settings
    identities = Identities(
        authenticator, operators, admin_token=settings.admin_token, secret_key=settings.secret_keys()[0]
    )
    return ConsoleServices(
        login=ConsoleLogin(core.stores.console_logins, identities, clock=core.clock),
        sessions=ConsoleSessions(core.stores.console_sessions, identities, core.trail, clock=core.clock),
    )


def _operations(
    core: Core, tenants: Tenants, operators: Operators, canceller: GenerationCanceller
) -> OperationServices:
    settings, connections, stores, clock = core.settings, core.connections, core.stores, core.clock
    state = StateStore(connections.reports, stores.gate, stores.heartbeats, replicas=settings.redis_wait_replicas)
    return OperationServices(
        gate=core.gate,
        generations=GenerationSearch(
            stores.generations,
            stores.generation_lists,
            stores.tenants,
            stores.deliveries,
            stores.ledger_lines,
            canceller,
            filters=GenerationFilters(stores.tenants),
            reads=core.reads,
        ),
        unconfirmed=UnconfirmedService(
            stores.generations,
            stores.queue,
            stores.submissions,
            stores.callbacks,
            core.transitions,
            connections.fal,
            core.schedule,
            clock=clock,
        ),
        desk=UnconfirmedDesk(
            stores.callbacks,
            stores.submissions,
            connections.fal_billing,
            connections.models,
            core.schedule,
            clock=clock,
        ),
        adjustments=AdjustmentService(stores.generations, stores.adjustments),
        ledgers=GenerationLedgers(stores.generations, stores.ledger_lines),
        usage=AccountUsage(
            stores.usage, stores.usage_rows, stores.tenants, stores.money, stores.budget_shares, core.trail, clock=clock
        ),
        usage_lists=UsageLists(stores.usage, stores.usage_rows, stores.tenants, stores.money, core.trail, clock=clock),
        audit=core.audit,
        audit_jobs=core.audit_jobs,
        bulk_jobs=core.bulk_jobs,
        account_metrics=AccountMetrics(
            state,
            slots=settings.upstream_concurrency,
            account_budget=settings.account_daily_budget,
            clock=clock,
        ),
        doctor=Doctor(
            settings,
            connections.redis,
            stores.heartbeats,
            stores.gate,
            state,
            tenants,
            operators,
            connections.fal,
            connections.nudger.app,
            billing=connections.fal_billing,
            videos=connections.video_store,
            models=connections.models,
            schemas=_schemas(settings),
            clock=clock,
            wall=clock.wall,
        ),
        readiness=Readiness(connections.redis, clock),
        status=StatusService(
            connections.redis,
            stores.status,
            stores.gate,
            stores.heartbeats,
            stores.tenants,
            account_budget=settings.account_daily_budget,
            clock=clock,
        ),
    )


def _schemas(settings: Settings) -> FalSchemas:
    timeout = settings.fal_timeout.total_seconds()
    return FalSchemas(site_url=settings.fal_site_url, timeout=timeout, proxy=settings.fal_proxy_url)
