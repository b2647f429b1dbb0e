"""The composition root: everything a process needs, opened once and closed in order."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime

from service.domain.drain import Drain
from service.domain.endpoint import Patience
from service.domain.price import Rates
from service.domain.request import RequestLimits
from service.domain.retry import RetryPolicy
from service.fal.billing import FalBilling
from service.fal.callback import Verifier
from service.fal.client import FalClient
from service.fal.files import FalFiles
from service.fal.hosts import FalHosts
from service.fal.signing import WebhookSigner
from service.fal.storage import FalStorage
from service.media.inspector import Inspector
from service.media.videos import VideoStore
from service.queue import Nudger, celery_app
from service.settings import Settings
from service.store.answers import AnswerStore
from service.store.callbacks import CallbackStore
from service.store.changes import Changes
from service.store.deliveries import Caps, DeliveryStore
from service.store.delivery_log import DeliveryLog
from service.store.due import DueStore
from service.store.end_users import EndUserStore
from service.store.endpoints import EndpointStore
from service.store.gate import GateStore
from service.store.generations import GenerationStore
from service.store.health import check
from service.store.heartbeats import HeartbeatStore
from service.store.money import MoneyStore
from service.store.queue import QueueStore
from service.store.rates import RateLimiter
from service.store.redis import Redis
from service.store.sealing import Sealer
from service.store.state import StateStore
from service.store.submissions import SubmissionStore
from service.store.tenants import TenantStore
from service.usecases import series
from service.usecases.access import Access
from service.usecases.admission import Admission
from service.usecases.audit import Audit
from service.usecases.callbacks import Callbacks
from service.usecases.decline import Decline
from service.usecases.deliveries import Deliveries
from service.usecases.dispatch import Dispatch
from service.usecases.doctor import Doctor
from service.usecases.drains import DrainRunner
from service.usecases.end_users import EndUsers
from service.usecases.endpoints import Endpoints
from service.usecases.gate import DispatchGate
from service.usecases.gauges import Gauges
from service.usecases.generations import Generations
from service.usecases.images import Images
from service.usecases.keeping import Keeping
from service.usecases.moves import Clock, Moves
from service.usecases.outlook import Outlook
from service.usecases.preflight import Preflight
from service.usecases.progress import Progress
from service.usecases.reconciliation import Reconciliation
from service.usecases.redelivery import Redelivery
from service.usecases.resolving import Resolving
from service.usecases.submissions import Submissions
from service.usecases.sweeping import Sweeping
from service.usecases.tenants import Tenants
from service.usecases.timetable import Timetable
from service.usecases.tracking import Tracking
from service.usecases.usage import Usage
from service.usecases.videos import Videos
from service.webhooks.address import AddressGuard
from service.webhooks.sender import Sender
from service.webhooks.viewer import Viewer

#: Submits under way at a time in one process; each may take as long as fal likes to.
_SUBMITS = 100
#: Polls under way at a time in one process; the client has connections for a third of them.
_POLLS = 100
_SWEEPS = 50


def calm_collector() -> None:
    """Once, after start-up, in a process that serves: what start-up made stays, and is not looked at again.

    The rest seldom: with keys and tenants remembered by the ten thousand, the default pace costs a third of a create.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Runtime:
    settings: Settings
    redis: Redis
    limits: RequestLimits
    due: DueStore
    queue: QueueStore
    generation_store: GenerationStore
    generations: Generations
    submissions: Submissions
    gate: DispatchGate
    resolving: Resolving
    outlook: Outlook
    callbacks: Callbacks
    progress: Progress
    admission: Admission
    tenants: Tenants
    access: Access
    end_users: EndUsers
    endpoints: Endpoints
    redelivery: Redelivery
    usage: Usage
    audit: Audit
    storage: FalStorage
    images: Images
    videos: Videos
    nudger: Nudger
    heartbeats: HeartbeatStore
    gauges: Gauges
    doctor: Doctor
    sealer: Sealer
    fal_signer: WebhookSigner
    drains: dict[Drain, DrainRunner]

    async def readiness(self) -> dict[str, str]:
        """One entry per check: ``ok``, or what is wrong."""
        return await check(self.redis)

    async def drain(self, drain: Drain) -> None:
        await self.drains[drain].run()

    async def serve(self, drain: Drain) -> None:
        """The same in a worker of this drain's queue: what it causes itself it need not be told by a message."""
        self.nudger.serve(drain, self.drains[drain].look)
        await self.drain(drain)


class Stores:
    """Redis, one noun each."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self.generations = GenerationStore(redis)
        self.callbacks = CallbackStore(redis)
        self.due = DueStore(redis)
        self.queue = QueueStore(redis)
        self.submissions = SubmissionStore(redis)
        self.gate = GateStore(
            redis,
            failures=settings.submit_failures,
            first_probe=settings.submit_probe,
            last_probe=settings.submit_probe_longest,
        )
        self.deliveries = DeliveryStore(redis, patience=Patience(settings.webhook_disable_after))
        self.delivery_log = DeliveryLog(redis, self.deliveries)
        self.money = MoneyStore(redis)
        self.end_users = EndUserStore(redis)
        self.rates = RateLimiter(redis)
        self.heartbeats = HeartbeatStore(redis)
        self.answers = AnswerStore(redis)
        self.sealer = Sealer(settings.secret_keys())
        self.tenants = TenantStore(redis, self.sealer)
        self.endpoints = EndpointStore(redis, self.sealer)


@dataclass(frozen=True, slots=True)
class Wires:
    """What is open towards the outside; closed in reverse order."""

    redis: Redis
    nudger: Nudger
    fal: FalClient
    verifier: Verifier
    billing: FalBilling | None
    storage: FalStorage
    files: FalFiles
    kept: VideoStore | None
    guard: AddressGuard
    sender: Sender
    viewer: Viewer
    hosts: FalHosts
    changes: Changes


@asynccontextmanager
async def open_runtime(settings: Settings, *, clock: Clock = utc_now) -> AsyncIterator[Runtime]:
    """Open connections, build stores and use cases, close all in reverse order."""
    series.begin()
    async with _open_wires(settings) as wires:
        runtime = _build(settings, wires, Stores(wires.redis, settings), clock)
        try:
            yield runtime
        finally:
            await asyncio.gather(*(r.close(_grace(r.drain, settings)) for r in runtime.drains.values()))


def _grace(drain: Drain, settings: Settings) -> float:
    grace = settings.submit_grace if drain is Drain.DISPATCH else settings.shutdown_grace
    return grace.total_seconds()


@asynccontextmanager
async def _open_wires(settings: Settings) -> AsyncIterator[Wires]:
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
        ) as redis,
        Nudger(celery_app(settings)) as nudger,
        FalClient(queue_url=settings.fal_queue_url, key=key, model=settings.fal_model, timeout=timeout) as fal,
        Verifier(rest_url=settings.fal_rest_url) as verifier,
        _billing(settings) as billing,
        FalStorage(rest_url=settings.fal_rest_url, key=key, timeout=timeout) as storage,
        FalFiles(hosts) as files,
        Sender(
            guard,
            timeout_seconds=settings.webhook_timeout.total_seconds(),
            max_connections=settings.webhook_concurrency,
        ) as sender,
        Viewer(settings.preflight_allowed_networks, most_bytes=settings.preflight_bytes) as viewer,
        Changes(redis) as changes,
    ):
        yield Wires(redis, nudger, fal, verifier, billing, storage, files, kept, guard, sender, viewer, hosts, changes)


def _billing(settings: Settings) -> AbstractAsyncContextManager[FalBilling | None]:
    if settings.fal_admin_key is None:
        return nullcontext()
    return FalBilling(
        api_url=settings.fal_api_url,
        key=settings.fal_admin_key.get_secret_value(),
        endpoint_id=settings.fal_model,
        timeout=settings.fal_timeout.total_seconds(),
    )


def _build(settings: Settings, wires: Wires, stores: Stores, clock: Clock) -> Runtime:
    gate = DispatchGate(stores.gate, wires.nudger, clock=clock)
    rates, timetable = Rates(settings.rates), Timetable.of(settings)
    moves = Moves(stores.generations, stores.endpoints, timetable, wires.nudger, clock=clock)
    tenants = Tenants(stores.tenants, stores.endpoints, clock=clock)
    admission = Admission(
        stores.money, wires.guard, rates=rates, account_budget=settings.account_daily_budget, clock=clock
    )
    outlook = Outlook(stores.queue, stores.gate, slots=settings.upstream_concurrency)
    images = _images(settings, wires, clock)
    generations = Generations(
        stores.generations,
        admission,
        images,
        moves,
        wires.changes,
        wires.nudger,
        timetable,
        model=settings.fal_model,
        queue_expiry=settings.queue_expiry,
        clock=clock,
    )
    return Runtime(
        settings=settings,
        redis=wires.redis,
        limits=RequestLimits(settings.max_prompt_characters, settings.resolutions, settings.bitrate_modes),
        due=stores.due,
        queue=stores.queue,
        gate=gate,
        resolving=Resolving(
            stores.generations, stores.queue, stores.submissions, moves, wires.fal, timetable, clock=clock
        ),
        outlook=outlook,
        progress=Progress(stores.generations, wires.changes, outlook, most_streams=settings.event_streams),
        generation_store=stores.generations,
        admission=admission,
        generations=generations,
        submissions=Submissions(generations, stores.answers, window=settings.resend_window, clock=clock),
        callbacks=Callbacks(stores.callbacks, wires.verifier, wires.nudger, clock=clock),
        tenants=tenants,
        endpoints=_endpoints(settings, wires, stores, tenants, clock),
        redelivery=Redelivery(
            stores.deliveries, stores.delivery_log, stores.endpoints, stores.generations, wires.nudger, clock=clock
        ),
        end_users=EndUsers(
            stores.end_users, stores.generations, stores.deliveries, stores.money, wires.kept, moves, clock=clock
        ),
        usage=Usage(stores.money, clock=clock),
        audit=Audit(stores.money, stores.generations),
        access=Access(stores.tenants, stores.rates, clock=clock),
        storage=wires.storage,
        images=images,
        videos=Videos(generations, wires.kept, redirect=settings.media_redirect),
        heartbeats=stores.heartbeats,
        gauges=Gauges(
            StateStore(wires.redis, stores.gate, stores.heartbeats),
            slots=settings.upstream_concurrency,
            account_budget=settings.account_daily_budget,
            clock=clock,
        ),
        doctor=Doctor(
            settings,
            wires.redis,
            stores.heartbeats,
            stores.gate,
            tenants,
            wires.fal,
            wires.nudger.app,
            clock=clock,
        ),
        sealer=stores.sealer,
        fal_signer=WebhookSigner(settings.secret_keys()),
        drains=_drains(settings, wires, stores, moves, gate, timetable, rates, clock),
        nudger=wires.nudger,
    )


def _images(settings: Settings, wires: Wires, clock: Clock) -> Images:
    return Images(
        Inspector(most_pixels=settings.max_image_pixels),
        wires.storage,
        most_bytes=settings.max_upload_bytes,
        timeout=settings.upload_timeout,
        clock=clock,
    )


def _endpoints(settings: Settings, wires: Wires, stores: Stores, tenants: Tenants, clock: Clock) -> Endpoints:
    return Endpoints(
        stores.endpoints,
        tenants,
        wires.sender,
        wires.nudger,
        retention=settings.retention,
        disable_after=settings.webhook_disable_after,
        clock=clock,
    )


def _drains(
    settings: Settings,
    wires: Wires,
    stores: Stores,
    moves: Moves,
    gate: DispatchGate,
    timetable: Timetable,
    rates: Rates,
    clock: Clock,
) -> dict[Drain, DrainRunner]:
    dispatch = Dispatch(
        stores.queue,
        moves,
        wires.fal,
        gate,
        _preflight(settings, wires, stores, moves, clock),
        clock=clock,
        slots=settings.upstream_concurrency,
        public_url=settings.public_url,
    )
    tracking = Tracking(
        stores.generations,
        stores.callbacks,
        stores.due,
        moves,
        wires.fal,
        gate,
        _keeping(settings, wires, stores, moves, clock),
        timetable,
        rates=rates,
        clock=clock,
    )
    sweeping = Sweeping(
        stores.generations,
        stores.deliveries,
        stores.due,
        stores.queue,
        stores.submissions,
        wires.kept,
        moves,
        timetable,
        _reconciliation(settings, wires, stores, moves, clock),
        clock=clock,
    )
    deliveries = _deliveries(settings, wires, stores, clock)
    runners = (
        DrainRunner(Drain.DISPATCH, dispatch.claim, dispatch.submit, capacity=_SUBMITS),
        DrainRunner(Drain.POLL, tracking.claim, tracking.poll, capacity=_POLLS),
        DrainRunner(Drain.DELIVER, deliveries.claim, deliveries.attempt, capacity=settings.webhook_concurrency),
        DrainRunner(Drain.SWEEP, sweeping.claim, sweeping.sweep, capacity=_SWEEPS),
    )
    return {runner.drain: runner for runner in runners}


def _preflight(settings: Settings, wires: Wires, stores: Stores, moves: Moves, clock: Clock) -> Preflight | None:
    if not settings.preflight:
        return None
    return Preflight(
        stores.generations,
        moves,
        wires.viewer,
        wires.hosts,
        most_bytes=settings.max_upload_bytes,
        most_pixels=settings.max_image_pixels,
        timeout=settings.preflight_timeout,
        clock=clock,
    )


def _keeping(settings: Settings, wires: Wires, stores: Stores, moves: Moves, clock: Clock) -> Keeping:
    return Keeping(
        stores.generations,
        moves,
        wires.files,
        wires.kept,
        public_url=settings.public_url,
        timeout=settings.media_timeout,
        clock=clock,
    )


def _deliveries(settings: Settings, wires: Wires, stores: Stores, clock: Clock) -> Deliveries:
    return Deliveries(
        stores.deliveries,
        stores.tenants,
        stores.endpoints,
        Decline(stores.endpoints, wires.nudger, retention=settings.retention),
        wires.sender,
        WebhookSigner(settings.secret_keys()),
        schedule=RetryPolicy(settings.webhook_schedule),
        caps=Caps(
            receiver=settings.webhook_receiver_concurrency,
            failing=settings.webhook_failing_concurrency,
            tenant=settings.webhook_tenant_concurrency,
        ),
        timeout=settings.webhook_timeout,
        retention=settings.retention,
        clock=clock,
    )


def _reconciliation(
    settings: Settings, wires: Wires, stores: Stores, moves: Moves, clock: Clock
) -> Reconciliation | None:
    """Nobody to ask without an admin key."""
    if wires.billing is None:
        return None
    return Reconciliation(
        wires.billing,
        stores.generations,
        stores.submissions,
        moves,
        every=settings.reconcile_every,
        upstream_deadline=settings.upstream_deadline,
        clock=clock,
    )
