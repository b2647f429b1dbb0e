"""Faults of a running stack, each for some seconds, at times that follow from a seed."""

import random
import signal
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import httpx

from service.cli.dev.child_processes import Child
from service.cli.dev.stack import Stack
from tests.support.chaos.clock_offset import start_misset_worker

#: Seconds that each kind lasts, shortest and longest, in a round of 150 seconds.
KINDS: Final[dict[str, tuple[float, float]]] = {
    "bare 502": (2, 6),
    "429 burst": (5, 15),
    "403 lock": (30, 30),
    "lost answers": (3, 8),
    "lost webhooks": (10, 20),
    "worker killed": (1, 5),
    "redis restarted": (0.5, 3),
    "clock +3 h": (20, 40),
    "clock -1 h": (20, 40),
}
ROUND: Final = 150.0

#: Faults of the sandbox, by operation.
_AT_FAL: Final[dict[str, dict[str, Any]]] = {
    "bare 502": {"submit": {"kind": "html-502", "probability": 0.9}},
    "429 burst": {"submit": {"kind": "429", "probability": 0.9}, "status": {"kind": "429", "probability": 0.5}},
    "403 lock": {"account": {"kind": "locked"}},
    "lost answers": {"submit": {"kind": "lost-answer", "probability": 0.6}},
    "lost webhooks": {"webhook": {"kind": "lost"}},
}
_SHIFTS: Final = {"clock +3 h": timedelta(hours=3), "clock -1 h": timedelta(hours=-1)}


@dataclass(frozen=True)
class Fault:
    kind: str
    begins: float
    """Seconds after the start."""
    seconds: float


def schedule(rng: random.Random, seconds: float) -> list[Fault]:
    """Return every kind once in each round, at a random time of the round; faults of different kinds overlap.

    The last fault comes after all others, when many jobs wait: bare 502s, which leave the most submits unconfirmed.
    """
    rounds = max(1, round(seconds / ROUND))
    length = seconds / rounds
    found = []
    for number in range(rounds):
        for kind, (shortest, longest) in KINDS.items():
            lasts = rng.uniform(shortest, longest) * length / ROUND
            begins = number * length + rng.uniform(0, length - lasts)
            found.append(Fault(kind, begins, lasts))
    return [*found, Fault("bare 502", seconds, KINDS["bare 502"][1] * length / ROUND)]


@dataclass
class FaultInjector:
    """Begins and ends faults of one stack. ``workers`` are those with a right clock."""

    stack: Stack
    rng: random.Random
    workers: list[Child] = field(default_factory=list)
    _shifted: dict[str, Child] = field(default_factory=dict)
    _at_fal: list[str] = field(default_factory=list)

    def start_workers(self, count: int) -> None:
        while len(self.workers) < count:
            self.stack.start_worker()
            self.workers.append(self.stack.children["worker"])

    def begin(self, fault: Fault) -> str:
        """Begin a fault. Return a description for the output."""
        if fault.kind in _AT_FAL:
            self._at_fal.append(fault.kind)
            self._configure_sandbox()
        elif fault.kind in _SHIFTS:
            self._shifted[fault.kind] = start_misset_worker(self.stack, _SHIFTS[fault.kind])
        elif fault.kind == "worker killed":
            victim = self.workers.pop(self.rng.randrange(len(self.workers)))
            victim.kill()
        else:  # begins and ends here: no process can start without Redis
            self.stack.redis.kill()
            time.sleep(fault.seconds)
            self.stack.redis.restart()
        return f"for {fault.seconds:.1f} s"

    def end(self, fault: Fault) -> None:
        if fault.kind in _AT_FAL:
            self._at_fal.remove(fault.kind)
            self._configure_sandbox()
        elif fault.kind in _SHIFTS:
            self._shifted.pop(fault.kind).end()
        elif fault.kind == "worker killed":
            self.start_workers(len(self.workers) + 1)

    def close(self) -> None:
        for worker in (*self.workers, *self._shifted.values()):
            worker.process.send_signal(signal.SIGTERM)
        for worker in (*self.workers, *self._shifted.values()):
            worker.end()

    def _configure_sandbox(self) -> None:
        faults: dict[str, list[Any]] = {}
        for kind in self._at_fal:
            for operation, fault in _AT_FAL[kind].items():
                faults.setdefault(operation, []).append(fault)
        httpx.post(f"{self.stack.sandbox_url}/_sandbox/faults", json=faults, trust_env=False).raise_for_status()
