"""Long work that the sweep does in pieces."""

from service.runtime.core import Core
from service.usecases.erasing import Erasing


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
