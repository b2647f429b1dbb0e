"""The runtime: stores and use cases over open wires."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from service.clock import Clock, StoreClock, SystemClock
from service.config.settings import Settings
from service.domain.request import RequestLimits
from service.domain.work_queue import WorkQueue
from service.media.inspector import Inspector
from service.runtime.connections import Connections, open_connections
from service.runtime.core import Core, build_core
from service.runtime.drains import build_drains
from service.runtime.jobs import build_audit, build_auditing, build_erasing
from service.runtime.stores import Stores
from service.store.generations.generations import GenerationStore
from service.store.queues.due import DueStore
from service.store.queues.tenant_queue import QueueStore
from service.store.redis.client import Redis
from service.store.redis.health import check
from service.store.state.heartbeats import HeartbeatStore
from service.store.state.state import StateStore
from service.store.tenants.sealing import Sealer
from service.tasks import Nudger
from service.upstream.storage import FalStorage
from service.usecases.generations.admission import Admission
from service.usecases.generations.concurrency import LongPollLimiter
from service.usecases.generations.generations import Generations
from service.usecases.generations.images import Images
from service.usecases.generations.queue_estimate import QueueEstimator
from service.usecases.generations.resends import ResendDetector
from service.usecases.generations.stream import StreamHub
from service.usecases.generations.videos import Videos
from service.usecases.lifecycle.consumer import Consumer
from service.usecases.lifecycle.dispatch_gate import DispatchGate
from service.usecases.lifecycle.fal_callbacks import Callbacks
from service.usecases.operations import metric_series
from service.usecases.operations.account_metrics import AccountMetrics
from service.usecases.operations.adjustments import AdjustmentService
from service.usecases.operations.audit import Audit
from service.usecases.operations.audit_jobs import AuditJobs
from service.usecases.operations.doctor import Doctor
from service.usecases.operations.unconfirmed import UnconfirmedService
from service.usecases.tenants.authentication import Authenticator
from service.usecases.tenants.end_users import EndUsers
from service.usecases.tenants.tenants import Tenants
from service.usecases.tenants.usage import Usage
from service.usecases.webhooks.endpoints import Endpoints
from service.usecases.webhooks.redelivery import DeliveryService
from service.webhooks.fal_signing import WebhookSigner


@dataclass(frozen=True, slots=True)
class Runtime:
    settings: Settings
    redis: Redis
    clock: StoreClock
    limits: RequestLimits
    due: DueStore
    queue: QueueStore
    generation_store: GenerationStore
    generations: Generations
    submissions: ResendDetector
    gate: DispatchGate
    resolving: UnconfirmedService
    adjusting: AdjustmentService
    outlook: QueueEstimator
    callbacks: Callbacks
    progress: StreamHub
    waiting: LongPollLimiter
    admission: Admission
    tenants: Tenants
    access: Authenticator
    end_users: EndUsers
    endpoints: Endpoints
    redelivery: DeliveryService
    usage: Usage
    audit: Audit
    auditing: AuditJobs
    storage: FalStorage
    images: Images
    videos: Videos
    nudger: Nudger
    heartbeats: HeartbeatStore
    gauges: AccountMetrics
    doctor: Doctor
    sealer: Sealer
    fal_signer: WebhookSigner
    drains: dict[WorkQueue, Consumer]

    async def readiness(self) -> dict[str, str]:
        """One entry per check: ``ok``, or what is wrong."""
        return {**await check(self.redis), "clock": self.clock.state()}

    async def drain(self, drain: WorkQueue) -> None:
        await self.drains[drain].run()

    async def serve(self, drain: WorkQueue) -> None:
        """Claim in a worker of this drain's queue: what it causes itself needs no message from here on."""
        self.nudger.serve(drain, self.drains[drain].look)
        await self.drain(drain)

    def serve_soon(self, drain: WorkQueue) -> None:
        """Do the same in the background; a store that is unavailable is asked again by the next call."""
        runner = self.drains[drain]
        self.nudger.serve(drain, runner.look)
        runner.look()


@asynccontextmanager
async def open_runtime(settings: Settings, *, clock: Callable[[], datetime] | None = None) -> AsyncIterator[Runtime]:
    """Open connections, build stores and use cases, close all in reverse order.

    ``clock``: the local one, which is corrected by the store's; by default this machine's.
    """
    metric_series.begin()
    async with open_connections(settings, clock or SystemClock()) as wires:
        runtime = _build(build_core(settings, wires))
        try:
            yield runtime
        finally:
            await asyncio.gather(*(r.close(_grace(r.drain, settings)) for r in runtime.drains.values()))


def _grace(drain: WorkQueue, settings: Settings) -> float:
    grace = settings.submit_grace if drain is WorkQueue.DISPATCH else settings.shutdown_grace
    return grace.total_seconds()


def _build(core: Core) -> Runtime:
    settings, wires, stores, moves, clock = core.settings, core.wires, core.stores, core.moves, core.clock
    tenants = Tenants(stores.tenants, stores.endpoints, clock=clock)
    admission = Admission(
        stores.money, wires.guard, rates=core.rates, account_budget=settings.account_daily_budget, clock=clock
    )
    outlook = QueueEstimator(stores.queue, stores.gate, slots=settings.upstream_concurrency)
    images = _images(settings, wires, clock)
    generations = Generations(
        stores.generations,
        admission,
        images,
        moves,
        wires.changes,
        wires.nudger,
        core.schedule,
        model=settings.fal_model,
        queue_expiry=settings.queue_expiry,
        clock=clock,
    )
    return Runtime(
        settings=settings,
        redis=wires.redis,
        clock=clock,
        limits=RequestLimits(settings.max_prompt_characters, settings.resolutions, settings.bitrate_modes),
        due=stores.due,
        queue=stores.queue,
        gate=core.gate,
        resolving=UnconfirmedService(
            stores.generations,
            stores.queue,
            stores.submissions,
            stores.callbacks,
            moves,
            wires.fal,
            core.schedule,
            clock=clock,
        ),
        adjusting=AdjustmentService(stores.generations, stores.adjustments),
        outlook=outlook,
        waiting=LongPollLimiter(most=settings.waiting_calls),
        progress=StreamHub(stores.generations, wires.changes, outlook, most_streams=settings.event_streams),
        generation_store=stores.generations,
        admission=admission,
        generations=generations,
        submissions=ResendDetector(generations, stores.answers, window=settings.resend_window, clock=clock),
        callbacks=Callbacks(stores.callbacks, wires.verifier, wires.nudger, clock=clock),
        tenants=tenants,
        endpoints=_endpoints(settings, wires, stores, tenants, clock),
        redelivery=DeliveryService(
            stores.deliveries, stores.delivery_log, stores.endpoints, stores.generations, wires.nudger, clock=clock
        ),
        end_users=EndUsers(stores.end_users, stores.money, build_erasing(core), clock=clock),
        usage=Usage(stores.money, clock=clock),
        audit=build_audit(core),
        auditing=build_auditing(core),
        access=Authenticator(stores.tenants, stores.rates, clock=clock),
        storage=wires.storage,
        images=images,
        videos=Videos(generations, wires.kept, redirect=settings.media_redirect),
        heartbeats=stores.heartbeats,
        gauges=AccountMetrics(
            StateStore(wires.redis, stores.gate, stores.heartbeats, replicas=settings.redis_wait_replicas),
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
            wall=clock.wall,
        ),
        sealer=stores.sealer,
        fal_signer=WebhookSigner(settings.secret_keys()),
        drains=build_drains(core),
        nudger=wires.nudger,
    )


def _images(settings: Settings, wires: Connections, clock: Clock) -> Images:
    return Images(
        Inspector(most_pixels=settings.max_image_pixels),
        wires.storage,
        most_bytes=settings.max_upload_bytes,
        timeout=settings.upload_timeout,
        clock=clock,
    )


def _endpoints(settings: Settings, wires: Connections, stores: Stores, tenants: Tenants, clock: Clock) -> Endpoints:
    return Endpoints(
        stores.endpoints,
        tenants,
        wires.sender,
        wires.nudger,
        retention=settings.retention,
        disable_after=settings.webhook_disable_after,
        clock=clock,
    )
