"""Parts that the use cases of several nouns share, built once for a process."""

from dataclasses import dataclass

from service.clock import StoreClock
from service.config.settings import Settings
from service.domain.bulk import BulkKind
from service.domain.pricing import Prices
from service.domain.retry import PollPolicy
from service.runtime.connections import Connections
from service.runtime.stores import Stores
from service.store.trail.trail import TenantShare
from service.usecases.generations.concurrency import ReadQueue
from service.usecases.lifecycle.dispatch_gate import DispatchGate
from service.usecases.lifecycle.poll_pacer import PollPacer
from service.usecases.lifecycle.schedule import SUBMIT_MARGIN, Schedule
from service.usecases.lifecycle.transition_service import TransitionService
from service.usecases.operations.audit import Audit
from service.usecases.operations.audit_jobs import AuditJobs
from service.usecases.operations.bulk.deliveries import ReplayDeliveries
from service.usecases.operations.bulk.generations import CancelGenerations, DismissSubmits, Generations
from service.usecases.operations.bulk.jobs import BulkJobs
from service.usecases.operations.bulk.kinds import Kind
from service.usecases.operations.bulk.preview import Previews
from service.usecases.operations.bulk.selections import Selections
from service.usecases.operations.bulk.starters import Starters
from service.usecases.operations.generation_filters import GenerationFilters
from service.usecases.operators.authentication import OperatorAuthenticator
from service.usecases.tenants.erasure import ErasureJobs
from service.usecases.tenants.usage_reports import UsageReports
from service.usecases.trail.trail import Trail
from service.usecases.trail.verification import TrailVerification
from service.usecases.webhooks.redelivery import DeliveryService

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
        Starters(operators, stores.api_keys, clock=clock),
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
