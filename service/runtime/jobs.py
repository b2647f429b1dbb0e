"""Long work that the sweep does in pieces."""

from service.runtime.core import Core
from service.usecases.operations.audit import Audit
from service.usecases.operations.audit_jobs import AuditJobs
from service.usecases.tenants.erasure import ErasureJobs


def build_audit(core: Core) -> Audit:
    stores = core.stores
    return Audit(stores.money, stores.generations, stores.in_flight, clock=core.clock)


def build_auditing(core: Core) -> AuditJobs:
    return AuditJobs(build_audit(core), core.stores.audits, core.stores.money, clock=core.clock)


def build_erasing(core: Core) -> ErasureJobs:
    stores = core.stores
    return ErasureJobs(
        stores.erasures,
        stores.end_users,
        stores.generations,
        stores.deliveries,
        core.wires.kept,
        core.moves,
        clock=core.clock,
    )
