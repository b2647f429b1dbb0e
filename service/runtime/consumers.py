"""Consumers of the work queues, and the parts that they share with the other use cases."""

import asyncio
from dataclasses import dataclass
from functools import partial

from service.clock import StoreClock
from service.config.settings import Settings
from service.domain.bulk import BulkKind
from service.domain.pricing import Prices
from service.domain.retry import PollPolicy, RetryPolicy
from service.domain.work_queue import WorkQueue
from service.media.clips.measurer import Measurer
from service.media.decoder_slots import DecoderSlots
from service.runtime.connections import Connections
from service.runtime.stores import Stores
from service.store.queues.leases import LeaseStore
from service.store.trail.trail import TenantShare
from service.store.webhooks.deliveries import Caps
from service.tasks import Nudger
from service.usecases.generations.byte_limits import ByteLimiter
from service.usecases.generations.concurrency import ReadQueue
from service.usecases.lifecycle.clip_preflight import ClipPreflight
from service.usecases.lifecycle.consumer import Consumer
from service.usecases.lifecycle.dispatch import Dispatch
from service.usecases.lifecycle.dispatch_gate import DispatchGate
from service.usecases.lifecycle.leases import LeaseKeeper
from service.usecases.lifecycle.poll_pacer import PollPacer
from service.usecases.lifecycle.poller import Poller
from service.usecases.lifecycle.preflight import Preflight
from service.usecases.lifecycle.price_monitor import PriceMonitor
from service.usecases.lifecycle.reconciliation import Reconciliation
from service.usecases.lifecycle.schedule import SUBMIT_MARGIN, Schedule
from service.usecases.lifecycle.sweeper import DeadlineSweeper
from service.usecases.lifecycle.transition_service import TransitionService
from service.usecases.lifecycle.video_copier import VideoCopier
from service.usecases.operations.audit import Audit
from service.usecases.operations.audit_jobs import AuditJobs
from service.usecases.operations.budget_sampler import BudgetSampler
from service.usecases.operations.bulk.deliveries import ReplayDeliveries
from service.usecases.operations.bulk.generations import CancelGenerations, DismissSubmits, Generations
from service.usecases.operations.bulk.jobs import BulkJobs
from service.usecases.operations.bulk.kinds import Kind
from service.usecases.operations.bulk.preview import Previews
from service.usecases.operations.bulk.selections import Selections
from service.usecases.operations.bulk.starters import Starters
from service.usecases.operations.generation_filters import GenerationFilters
from service.usecases.operations.search_index import SearchIndexer
from service.usecases.operations.storage_sampler import StorageSampler
from service.usecases.operators.authentication import OperatorAuthenticator
from service.usecases.tenants.erasure import ErasureJobs
from service.usecases.tenants.usage_reports import UsageReports
from service.usecases.trail.trail import Trail
from service.usecases.trail.verification import TrailVerification
from service.usecases.webhooks.attempt_shares import AttemptShares
from service.usecases.webhooks.delivery import DeliveryWorker
from service.usecases.webhooks.endpoint_health import EndpointHealthMonitor
from service.usecases.webhooks.redelivery import DeliveryService

#: Concurrent submits in one process. fal bounds the time of each by its own timeout only.
_SUBMITS = 100
#: Concurrent polls in one process. The client has connections for a third of them.
_POLLS = 100
_SWEEPS = 50
#: Part of a generation's age that passes before its next poll.
_POLL_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Core:
    """Parts that several use cases share."""

    settings: Settings
    connections: Connections
    stores: Stores
    gate: DispatchGate
    prices: Prices
    schedule: Schedule
    pacer: PollPacer
    transitions: TransitionService
    audit: Audit
    audit_jobs: AuditJobs
    erasure_jobs: ErasureJobs
    usage_reports: UsageReports
    deliveries: DeliveryService
    bulk_jobs: BulkJobs
    reads: ReadQueue
    trail: Trail
    chain: TrailVerification

    @property
    def clock(self) -> StoreClock:
        return self.connections.clock


def build_core(settings: Settings, connections: Connections) -> Core:
    stores = Stores(connections.redis, settings, reports=connections.reports)
    schedule, clock = build_schedule(settings), connections.clock
    pacer, reads = PollPacer(schedule), ReadQueue()
    transitions = TransitionService(
        stores.generations, stores.endpoints, pacer, connections.nudger, clock=clock, public_url=settings.public_url
    )
    deliveries = DeliveryService(
        stores.deliveries,
        stores.delivery_log,
        stores.endpoints,
        stores.generations,
        connections.nudger,
        reads,
        clock=clock,
    )
    share = TenantShare(settings.tenant_daily_acts, settings.tenant_trail_entries)
    trail = Trail(stores.trail, share=share, clock=clock)
    audit = Audit(stores.ledger, stores.generation_lists, stores.in_flight, clock=clock)
    return Core(
        settings=settings,
        connections=connections,
        stores=stores,
        gate=DispatchGate(stores.gate, connections.nudger, clock=clock),
        prices=Prices(connections.models.known.values(), connections.models.default),
        schedule=schedule,
        pacer=pacer,
        transitions=transitions,
        audit=audit,
        audit_jobs=AuditJobs(audit, stores.audits, stores.ledger, clock=clock),
        erasure_jobs=ErasureJobs(
            stores.erasures,
            stores.end_users,
            stores.generations,
            stores.deliveries,
            connections.video_store,
            transitions,
            clock=clock,
        ),
        usage_reports=UsageReports(stores.usage_reports, stores.due, reads, clock=clock),
        reads=reads,
        chain=TrailVerification(stores.trail_reader, stores.trail_checks),
        trail=trail,
        deliveries=deliveries,
        bulk_jobs=_bulk_jobs(stores, connections, transitions, deliveries, trail),
    )


def _bulk_jobs(
    stores: Stores,
    connections: Connections,
    transitions: TransitionService,
    deliveries: DeliveryService,
    trail: Trail,
) -> BulkJobs:
    clock, queue = connections.clock, stores.queue
    generations = Generations(stores.generations, stores.generation_lists)
    kinds: dict[BulkKind, Kind] = {
        BulkKind.CANCEL: CancelGenerations(generations, queue, transitions, clock=clock),
        BulkKind.DISMISS: DismissSubmits(generations, queue, transitions, clock=clock),
        BulkKind.REPLAY: ReplayDeliveries(
            stores.deliveries, stores.delivery_log, stores.generations, stores.tenants, deliveries
        ),
    }
    operators = OperatorAuthenticator(stores.operators, admin_token=None, clock=clock)
    return BulkJobs(
        stores.bulk_jobs,
        kinds,
        Previews(clock=clock),
        Selections(kinds, GenerationFilters(stores.tenants), stores.tenants),
        Starters(operators, stores.tenants, clock=clock),
        stores.due,
        connections.nudger,
        trail,
        clock=clock,
    )


def build_schedule(settings: Settings) -> Schedule:
    return Schedule(
        polls=PollPolicy(
            shortest=settings.poll_shortest,
            longest=settings.poll_longest,
            share=_POLL_SHARE,
            per_second=settings.polls_per_second,
        ),
        submit_lease=settings.fal_timeout + SUBMIT_MARGIN,
        upstream_deadline=settings.upstream_deadline,
        unconfirmed_deadline=settings.unconfirmed_deadline,
        unconfirmed_slot=settings.unconfirmed_slot,
        retention=settings.retention,
        reconcile_every=None if settings.fal_admin_key is None else settings.reconcile_every,
    )


class WorkQueues:
    """Work queues of this process: the use case behind each, and its consumer."""

    def __init__(self, core: Core) -> None:
        self._settings = settings = core.settings
        self._nudger: Nudger = core.connections.nudger
        self.endpoint_health = EndpointHealthMonitor(
            core.stores.endpoints, core.stores.tenants, core.connections.nudger, retention=settings.retention
        )
        self.video_copier = _video_copier(core)
        self.dispatch = _dispatch(core)
        self.poller = _poller(core, self.video_copier)
        self.delivery_worker = _delivery_worker(core, self.endpoint_health)
        self.sweeper = _sweeper(core)
        make = partial(Consumer, may_claim=core.clock.may_claim, keep=partial(_leases, core))
        dispatch, poller, deliveries, sweeper = self.dispatch, self.poller, self.delivery_worker, self.sweeper
        consumers = (
            make(WorkQueue.DISPATCH, dispatch.claim, dispatch.submit, capacity=_SUBMITS),
            make(WorkQueue.POLL, poller.claim, poller.poll, capacity=_POLLS),
            make(WorkQueue.DELIVER, deliveries.claim, deliveries.attempt, capacity=settings.webhook_concurrency),
            make(WorkQueue.SWEEP, sweeper.claim, sweeper.sweep, capacity=_SWEEPS),
        )
        self.consumers: dict[WorkQueue, Consumer] = {consumer.work_queue: consumer for consumer in consumers}

    async def run(self, work_queue: WorkQueue) -> None:
        """Claim what is due once. The work continues in the background."""
        await self.consumers[work_queue].run()

    def serve(self, work_queue: WorkQueue) -> None:
        """Claim in the background. Nudges of this process then reach its consumer without a message.

        While Redis is unavailable, the next call tries again.
        """
        consumer = self.consumers[work_queue]
        self._nudger.serve(work_queue, consumer.claim_soon)
        consumer.claim_soon()

    async def close(self) -> None:
        """Stop claiming and wait for running work, each queue up to its grace."""
        await asyncio.gather(*(consumer.close(self._grace(queue)) for queue, consumer in self.consumers.items()))

    def _grace(self, work_queue: WorkQueue) -> float:
        settings = self._settings
        grace = settings.submit_grace if work_queue is WorkQueue.DISPATCH else settings.shutdown_grace
        return grace.total_seconds()


def _leases(core: Core, work_queue: WorkQueue) -> LeaseKeeper:
    return LeaseKeeper(LeaseStore(core.connections.redis, work_queue), clock=core.clock)


def _dispatch(core: Core) -> Dispatch:
    settings, stores = core.settings, core.stores
    return Dispatch(
        stores.queue,
        stores.callbacks,
        core.transitions,
        core.connections.fal,
        core.gate,
        _preflight(core),
        clock=core.clock,
        slots=settings.upstream_concurrency,
        ramp=stores.ramp,
        refusals=settings.submit_refusals,
        public_url=settings.public_url,
    )


def _preflight(core: Core) -> Preflight | None:
    settings = core.settings
    if not settings.preflight:
        return None
    return Preflight(
        core.stores.generations,
        core.transitions,
        core.connections.image_probe,
        core.connections.fal_hosts,
        ClipPreflight(
            core.connections.image_probe,
            core.connections.fal_hosts,
            Measurer(DecoderSlots()),
            core.stores.measurements,
            ByteLimiter("disk", total=settings.upload_disk, tenant=settings.upload_tenant_disk),
            core.connections.models.known,
            timeout=settings.preflight_files_timeout,
        ),
        core.connections.models.known,
        most_bytes=settings.max_upload_bytes,
        most_pixels=settings.max_image_pixels,
        timeout=settings.preflight_timeout,
        clock=core.clock,
    )


def _poller(core: Core, video_copier: VideoCopier) -> Poller:
    stores = core.stores
    return Poller(
        stores.generations,
        stores.callbacks,
        stores.due,
        core.transitions,
        core.connections.fal,
        core.gate,
        video_copier,
        core.schedule,
        core.pacer,
        price_monitor=PriceMonitor(stores.prices, core.prices),
        prices=core.prices,
        clock=core.clock,
    )


def _video_copier(core: Core) -> VideoCopier:
    return VideoCopier(
        core.stores.generations,
        core.transitions,
        core.connections.fal_files,
        core.connections.video_store,
        public_url=core.settings.public_url,
        timeout=core.settings.media_timeout,
        clock=core.clock,
    )


def _delivery_worker(core: Core, endpoint_health: EndpointHealthMonitor) -> DeliveryWorker:
    settings, stores = core.settings, core.stores
    return DeliveryWorker(
        stores.deliveries,
        stores.tenants,
        stores.endpoints,
        endpoint_health,
        core.connections.sender,
        schedule=RetryPolicy(settings.webhook_schedule),
        caps=Caps(receiver=settings.webhook_receiver_concurrency, unproven=settings.webhook_unproven_concurrency),
        shares=AttemptShares(
            settings.webhook_concurrency,
            tenant_share=settings.webhook_tenant_share,
            unproven_share=settings.webhook_unproven_share,
        ),
        clock=core.clock,
    )


def _sweeper(core: Core) -> DeadlineSweeper:
    stores = core.stores
    return DeadlineSweeper(
        stores.generations,
        stores.deliveries,
        stores.due,
        stores.queue,
        stores.submissions,
        core.connections.video_store,
        core.transitions,
        core.schedule,
        _reconciliation(core),
        core.erasure_jobs,
        core.audit_jobs,
        core.usage_reports,
        core.bulk_jobs,
        StorageSampler(stores.stored_bytes, clock=core.clock),
        SearchIndexer(stores.indexing, clock=core.clock),
        core.trail,
        BudgetSampler(stores.budget_shares, clock=core.clock, waiting=stores.waiting_tenants),
        core.chain,
        clock=core.clock,
    )


def _reconciliation(core: Core) -> Reconciliation | None:
    """None without an admin key: fal's billing API refuses any other key."""
    if core.connections.fal_billing is None:
        return None
    return Reconciliation(
        core.connections.fal_billing,
        core.stores.generations,
        core.stores.submissions,
        core.transitions,
        core.connections.models,
        core.prices,
        every=core.settings.reconcile_every,
        upstream_deadline=core.settings.upstream_deadline,
        clock=core.clock,
    )
