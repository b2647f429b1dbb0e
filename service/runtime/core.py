"""The parts that use cases share."""

from dataclasses import dataclass

from service.clock import StoreClock
from service.config.settings import Settings
from service.domain.pricing import Rates
from service.runtime.connections import Wires
from service.runtime.stores import Stores
from service.usecases.lifecycle.dispatch_gate import DispatchGate
from service.usecases.lifecycle.schedule import Timetable
from service.usecases.lifecycle.transition_service import Moves


@dataclass(frozen=True, slots=True)
class Core:
    """What most use cases are made from."""

    settings: Settings
    wires: Wires
    stores: Stores
    clock: StoreClock
    gate: DispatchGate
    rates: Rates
    timetable: Timetable
    moves: Moves


def build_core(settings: Settings, wires: Wires) -> Core:
    stores, timetable, clock = Stores(wires.redis, settings), Timetable.of(settings), wires.clock
    return Core(
        settings,
        wires,
        stores,
        clock,
        DispatchGate(stores.gate, wires.nudger, clock=clock),
        Rates(settings.rates),
        timetable,
        Moves(stores.generations, stores.endpoints, timetable, wires.nudger, clock=clock),
    )
