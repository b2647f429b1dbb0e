"""Tools of operators: search and repair of generations, money of all tenants, checks of the deployment."""

from dataclasses import dataclass

from service.runtime.core import Core
from service.store.state.state import StateStore
from service.upstream.schemas import FalSchemas
from service.usecases.generations.cancel import GenerationCanceller
from service.usecases.lifecycle.dispatch_gate import DispatchGate
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
from service.usecases.operations.tenant_budgets import TenantBudgets
from service.usecases.operations.unconfirmed import UnconfirmedService
from service.usecases.operations.usage import AccountUsage
from service.usecases.operations.usage_lists import UsageLists
from service.usecases.operators.operators import Operators
from service.usecases.tenants.tenants import Tenants


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
    tenant_budgets: TenantBudgets
    ledgers: GenerationLedgers
    audit: Audit
    audit_jobs: AuditJobs
    bulk_jobs: BulkJobs
    account_metrics: AccountMetrics
    doctor: Doctor
    readiness: Readiness
    status: StatusService


def build_operations(
    core: Core, tenants: Tenants, operators: Operators, canceller: GenerationCanceller
) -> OperationServices:
    settings, connections, stores, clock = core.settings, core.connections, core.stores, core.clock
    state = StateStore(connections.reports, stores.gate, stores.heartbeats, replicas=settings.redis_wait_replicas)
    account_budget = settings.account_daily_budget
    return OperationServices(
        gate=core.gate,
        generations=_search(core, canceller),
        unconfirmed=_unconfirmed(core),
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
        usage=AccountUsage(stores.usage, stores.usage_rows, stores.tenants, core.trail, clock=clock),
        usage_lists=UsageLists(stores.usage, stores.usage_rows, stores.tenants, stores.money, core.trail, clock=clock),
        tenant_budgets=TenantBudgets(stores.tenants, stores.money, stores.budget_shares, clock=clock),
        audit=core.audit,
        audit_jobs=core.audit_jobs,
        bulk_jobs=core.bulk_jobs,
        account_metrics=AccountMetrics(
            state, slots=settings.upstream_concurrency, account_budget=account_budget, clock=clock
        ),
        doctor=_doctor(core, state, tenants, operators),
        readiness=Readiness(connections.redis, clock),
        status=StatusService(
            connections.redis,
            stores.status,
            stores.gate,
            stores.heartbeats,
            stores.tenants,
            account_budget=account_budget,
            clock=clock,
        ),
    )


def _search(core: Core, canceller: GenerationCanceller) -> GenerationSearch:
    stores = core.stores
    return GenerationSearch(
        stores.generations,
        stores.generation_lists,
        stores.tenants,
        stores.deliveries,
        stores.ledger_lines,
        canceller,
        filters=GenerationFilters(stores.tenants),
        reads=core.reads,
    )


def _unconfirmed(core: Core) -> UnconfirmedService:
    stores = core.stores
    return UnconfirmedService(
        stores.generations,
        stores.queue,
        stores.submissions,
        stores.callbacks,
        core.transitions,
        core.connections.fal,
        core.schedule,
        clock=core.clock,
    )


def _doctor(core: Core, state: StateStore, tenants: Tenants, operators: Operators) -> Doctor:
    settings, connections = core.settings, core.connections
    timeout = settings.fal_timeout.total_seconds()
    return Doctor(
        settings,
        connections.redis,
        core.stores.heartbeats,
        core.stores.gate,
        state,
        tenants,
        operators,
        connections.fal,
        connections.nudger.app,
        billing=connections.fal_billing,
        videos=connections.video_store,
        models=connections.models,
        schemas=FalSchemas(site_url=settings.fal_site_url, timeout=timeout, proxy=settings.fal_proxy_url),
        clock=core.clock,
        wall=core.clock.wall,
    )
