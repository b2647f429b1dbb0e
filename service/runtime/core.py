"""The parts that use cases share."""

from dataclasses import dataclass

from service.clock import StoreClock
from service.config.settings import Settings
from service.domain.pricing import Rates
from service.runtime.connections import Connections
from service.runtime.stores import Stores
from service.usecases.lifecycle.dispatch_gate import DispatchGate
from service.usecases.lifecycle.schedule import Schedule
from service.usecases.lifecycle.transition_service import TransitionService


@dataclass(frozen=True, slots=True)
class Core:
    """What most use cases are made from."""

    settings: Settings
    wires: Connections
    stores: Stores
    clock: StoreClock
    gate: DispatchGate
    rates: Rates
    schedule: Schedule
    moves: TransitionService


def build_core(settings: Settings, wires: Connections) -> Core:
    stores, schedule, clock = Stores(wires.redis, settings), Schedule.of(settings), wires.clock
    return Core(
        settings,
        wires,
        stores,
        clock,
        DispatchGate(stores.gate, wires.nudger, clock=clock),
        Rates(settings.rates),
        schedule,
        TransitionService(stores.generations, stores.endpoints, schedule, wires.nudger, clock=clock),
    )
