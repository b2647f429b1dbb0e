"""The explorer: every state that a bounded number of steps reaches, breadth first, each state once.

A step is a call of a process that takes effect, an event at fal, a request of the caller, or a fault. Each promise is
checked on each step. A broken promise is reported with the shortest list of steps that leads to it.
"""

import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.model.scenarios import Bounds
from tests.model.steps import Step, Steps
from tests.model.store import Operation
from tests.model.world import Job, World

STUCK: Final = "a generation never ends"
#: Steps to the end of every generation, at most.
_LONGEST_ENDING: Final = 300
_DIGITS: Final = re.compile(r"\d+")

Promise = Callable[[World, World], str | None]
"""Returns how the step from one world to the next breaks the promise."""
Path = tuple[Step, ...]
"""Steps from the initial world."""


@dataclass(frozen=True)
class CounterExample:
    promise: str
    steps: tuple[str, ...]

    def __str__(self) -> str:
        listed = "\n".join(f"  {n:2}. {step}" for n, step in enumerate(self.steps, 1))
        return f"{self.promise}, after these steps:\n{listed}"


@dataclass(frozen=True)
class Arrival:
    """The step that reached a world first: from which world, its label, its kind."""

    before: World
    label: str
    kind: str


@dataclass
class Explored:
    """The explored graph: of each state, how it was reached first; of each kind of step, its first one."""

    model: Steps
    came_from: dict[World, Arrival | None]
    kinds: dict[str, tuple[World, Step]] = field(default_factory=dict)
    transitions: int = 0
    depth: int = 0
    seconds: float = 0.0
    broken: CounterExample | None = None

    @property
    def states(self) -> int:
        return len(self.came_from)

    def path_to(self, world: World) -> Path:
        return tuple(Step(arrival.label, reached) for arrival, reached in self._arrivals(world))

    def covering_paths(self) -> list[Path]:
        """Return paths that contain a step of each kind, the longest paths first."""
        missing, paths = set(self.kinds), []
        for kind, (before, step) in reversed(self.kinds.items()):
            if kind in missing:
                missing -= {kind, *(arrival.kind for arrival, _ in self._arrivals(before))}
                paths.append((*self.path_to(before), step))
        return paths

    def random_paths(self, count: int, seed: int) -> list[Path]:
        """Return the paths to some of the reached states."""
        worlds = list(self.came_from)
        chosen = random.Random(seed).sample(worlds, min(count, len(worlds)))  # noqa: S311  (a seed repeats the run)
        return [self.path_to(world) for world in chosen]

    def _arrivals(self, world: World) -> list[tuple[Arrival, World]]:
        found: list[tuple[Arrival, World]] = []
        while (arrival := self.came_from[world]) is not None:
            found.append((arrival, world))
            world = arrival.before
        return found[::-1]


def _kind(before: World, step: Step, operations: Sequence[Operation]) -> str:
    """Name a step by its label without numbers, the fields of jobs that change, and the calls that change nothing.

    So each branch of a script is a kind of its own.
    """
    changed = [
        name
        for was, now in zip(before.jobs, step.after.jobs, strict=True)
        if was is not now
        for name, old, new in zip(Job._fields, was, now, strict=True)
        if old != new
    ]
    idle = [one.call.name for one in operations if not one.changes]
    return f"{_DIGITS.sub('N', step.label)}; changes: {', '.join(changed)}; no change by: {', '.join(idle)}"


class Explorer:
    def __init__(self, bounds: Bounds, promises: Sequence[Promise]) -> None:
        self.bounds = bounds
        self._promises = promises
        self.model = Steps(bounds)
        self._ending: set[World] = set()
        """Worlds from which every generation ends."""

    def explore(self) -> Explored:
        begun = time.process_time()
        found = Explored(self.model, {self.model.initial(): None})
        found.broken = self._search(found)
        found.seconds = time.process_time() - begun
        return found

    def _search(self, found: Explored) -> CounterExample | None:
        level = list(found.came_from)
        journal: list[Operation] = []
        self.model.store.journal = journal
        while level and found.depth < self.bounds.steps:
            found.depth += 1
            reached = []
            for world in level:
                for step in self.model.steps(world):
                    kind = _kind(world, step, journal)
                    journal.clear()
                    found.transitions += 1
                    found.kinds.setdefault(kind, (world, step))
                    if (broken := self._broken(world, step.after)) is not None:
                        return CounterExample(broken, (*_labels(found.path_to(world)), step.label))
                    if step.after not in found.came_from:
                        found.came_from[step.after] = Arrival(world, step.label, kind)
                        reached.append(step.after)
            level = reached
        self.model.store.journal = None
        for world in level:
            if self._is_stuck(world):
                rest = "no further fault happens, and fal stays silent"
                return CounterExample(STUCK, (*_labels(found.path_to(world)), rest))
        return None

    def _broken(self, before: World, after: World) -> str | None:
        for promise in self._promises:
            if (broken := promise(before, after)) is not None:
                return broken
        return None

    def _is_stuck(self, world: World) -> bool:
        """Return whether a generation does not end by the deadlines alone."""
        path = []
        while any(not job.is_ended for job in world.jobs):
            if world in self._ending:
                break
            path.append(world)
            if len(path) > _LONGEST_ENDING:
                return True
            world = self._onward(world)
        self._ending.update(path)
        return False

    def _onward(self, world: World) -> World:
        """Return the next world without faults, requests and events at fal."""
        for running in world.running:
            return next(self.model.of_process(world, running)).after
        for number in range(len(world.jobs)):
            for step in self.model.claims(world, number):
                return step.after
        return world._replace(now=world.now + 1)


def _labels(path: Path) -> Iterator[str]:
    return (step.label for step in path)
