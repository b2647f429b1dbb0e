"""Long work that the sweep does in pieces."""

from service.runtime.core import Core
from service.usecases.audit import Audit
from service.usecases.auditing import Auditing
from service.usecases.erasing import Erasing


def build_audit(core: Core) -> Audit:
    stores = core.stores
    return Audit(stores.money, stores.generations, stores.in_flight, clock=core.clock)


def build_auditing(core: Core) -> Auditing:
    return Auditing(build_audit(core), core.stores.audits, core.stores.money, clock=core.clock)


def build_erasing(core: Core) -> Erasing:
    stores = core.stores
    return Erasing(
        stores.erasures,
        stores.end_users,
        stores.generations,
        stores.deliveries,
        core.wires.kept,
        core.moves,
        clock=core.clock,
    )
