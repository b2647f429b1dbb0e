"""The explorer: every state that a bounded number of steps reaches, breadth first, each state once.

A step is a call of a process that takes effect, an event at fal, a request of the caller, or a fault. Each promise is
checked on each step. A broken promise is reported with the shortest list of steps that leads to it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from service.domain import ids
from service.domain.billing import BillingEvent
from service.domain.generation import Generation, StoredVideo
from service.errors import MediaUnavailable, NotCancellable, RequestIdTaken, StoreUnavailable
from service.store.generations.generations import Moved
from tests.model import fal
from tests.model.processes import MODEL, RATES, Process, Reply, UseCases
from tests.model.store import Billed, Loaded, Store, Taken, Written
from tests.model.times import TICK, moment
from tests.model.world import Job, Record, Running, World

PROMPT: Final = "a cat drinks coffee"
WORKERS: Final = ("dispatch", "poll", "sweep")
#: Calls that take effect together with the step before them: reads, and changes of due times only.
_JOINED: Final = frozenset(
    {
        "generations.load",
        "callbacks.load",
        "callbacks.read",
        "submissions.in_doubt",
        "submissions.given_up",
        "submissions.find_known",
        "generations.load_many",
        "due.remove",
        "generations.reschedule_poll",
        "generations.reschedule_sweep",
    }
)
_WRITES: Final = frozenset({"generations.save", "generations.finish"})
STUCK: Final = "a generation never ends"
#: Steps to the end of every generation, at most.
_LONGEST_ENDING: Final = 300
#: Errors that a process may end with. Its work is due again.
_EXPECTED: Final = (StoreUnavailable, MediaUnavailable, NotCancellable)

Step = tuple[str, World]
Promise = Callable[[World, World], str | None]
"""Returns how the step from one world to the next breaks the promise."""


@dataclass(frozen=True)
class Bounds:
    """What is explored."""

    steps: int
    ticks: int
    faults: int
    generations: int = 1
    workers: int = 2
    """Processes of workers under way at the same time."""
    cancel: bool = True
    erase: bool = True
    clock_steps: bool = True
    may_fail: bool = True
    """Whether fal refuses and fails jobs, besides accepting and finishing them."""
    starts_unconfirmed: bool = False
    """Start with generations whose submits had no response, and which fal took, one minute ago."""


@dataclass(frozen=True)
class CounterExample:
    promise: str
    steps: tuple[str, ...]

    def __str__(self) -> str:
        listed = "\n".join(f"  {n:2}. {step}" for n, step in enumerate(self.steps, 1))
        return f"{self.promise}, after these steps:\n{listed}"


@dataclass(frozen=True)
class Explored:
    states: int
    transitions: int
    depth: int
    seconds: float
    broken: CounterExample | None


class Explorer:
    def __init__(self, bounds: Bounds, promises: Sequence[Promise]) -> None:
        self.bounds = bounds
        self._promises = promises
        self._names = [f"{ids.GENERATION}_{str(number) * 26}" for number in range(bounds.generations)]
        self.store = Store(self._names)
        self._use_cases = UseCases(self._names, self._decode)
        self._ending: set[World] = set()
        """Worlds from which every generation ends."""

    def initial(self) -> World:
        return World(
            int(self.bounds.starts_unconfirmed), tuple(map(self._created, self._names)), faults=self.bounds.faults
        )

    def explore(self) -> Explored:
        begun = time.process_time()
        first = self.initial()
        came_from: dict[World, tuple[World, str] | None] = {first: None}
        level, transitions, depth = [first], 0, 0
        while level and depth < self.bounds.steps:
            depth += 1
            reached = []
            for world in level:
                for label, after in self.steps(world):
                    transitions += 1
                    if (broken := self._broken(world, after)) is not None:
                        path = (*_path(came_from, world), label)
                        spent = time.process_time() - begun
                        return Explored(len(came_from), transitions, depth, spent, CounterExample(broken, path))
                    if after not in came_from:
                        came_from[after] = (world, label)
                        reached.append(after)
            level = reached
        for world in level:
            if self._is_stuck(world):
                path = (*_path(came_from, world), "no further fault happens, and fal stays silent")
                spent = time.process_time() - begun
                return Explored(len(came_from), transitions, depth, spent, CounterExample(STUCK, path))
        return Explored(len(came_from), transitions, depth, time.process_time() - begun, None)

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
            return next(self._process_steps(world, running))[1]
        for number in range(len(world.jobs)):
            for _, after in self._claims(world, number):
                return after
        return world._replace(now=world.now + 1)

    # --- steps ----------------------------------------------------------------------------------------------------

    def steps(self, world: World) -> Iterator[Step]:
        for running in world.running:
            yield from self._process_steps(world, running)
        for number in range(len(world.jobs)):
            yield from self._claims(world, number)
            yield from self._requests(world, number)
            yield from self._fal_events(world, number)
        yield from self._time(world)

    def _process_steps(self, world: World, running: Running) -> Iterator[Step]:
        process, call = running.process, running.process.call
        who = f"{process.kind} {process.job}"
        if running.stopped_with is not None:
            yield f"{who}: continues", self._resumed(world, running, running.stopped_with)
        elif call is not None:
            for name, after, token, cost in self._effects(world, running):
                if cost <= world.faults:
                    paid = after._replace(faults=after.faults - cost)
                    yield f"{who}: {name}", self._resumed(paid, running, token)
                    if process.kind == "dispatch" and call.name == "generations.save" and paid.faults:
                        stopped = paid.with_fault().with_running(running, Running(process, token))
                        yield f"{who}: {name}, and it stops", stopped
        if process.kind != "cancel" and world.faults:
            yield f"{who}: dies", world.with_running(running, None).with_fault()

    def _effects(self, world: World, running: Running) -> Iterator[tuple[str, World, Any, int]]:
        """Yield what the call of a process may do: its name, the world after it, the reply, and the faults."""
        process, call = running.process, running.process.call
        assert call is not None
        number, job = process.job, world.jobs[process.job]
        if call.name.startswith("fal."):
            replies = (
                fal.submit_replies(job, world.now)
                if call.name == "fal.submit"
                else fal.read_replies(call.name, job, world.now)
            )
            for wire, changed, cost in replies:
                if self.bounds.may_fail or wire in ("accepted", "no response") or call.name != "fal.submit":
                    taken = " (fal took it)" if changed.submits > job.submits else ""
                    token = (wire, number, changed.submits)
                    yield f"{call.name} -> {wire}{taken}", world.with_job(number, changed), token, cost
            return
        after, token = self.store.apply(world, number, call)
        described = _described(call.values[0]) if call.name in _WRITES else ""
        lost = isinstance(token, Written) and not token.won
        yield f"{call.name}{described}{' (lost the race)' if lost else ''}", after, token, 0
        if call.name in _WRITES:
            yield f"{call.name}{described}, Redis is unavailable", world, StoreUnavailable, 1
            if not lost:
                yield f"{call.name}{described}, the reply is lost", after, StoreUnavailable, 1

    def _resumed(self, world: World, running: Running, token: Any) -> World:
        return self._continued(world, running, self._use_cases.resume(running.process, Reply(token, world.now)))

    def _continued(self, world: World, running: Running | None, process: Process) -> World:
        """Let a process continue up to its next call that takes effect on its own."""
        while process.call is not None and process.call.name in _JOINED:
            world, token = self.store.apply(world, process.job, process.call)
            process = self._use_cases.resume(process, Reply(token, world.now))
        if process.error is not None and not isinstance(process.error, _EXPECTED):
            world = world._replace(error=f"{type(process.error).__name__}: {process.error}")
        if process.call is not None:
            return world.with_running(running, Running(process))
        world = world if running is None else world.with_running(running, None)
        if process.kind == "erase" and process.result in ("stripped", "erased", "absent"):
            return world.with_job(process.job, world.jobs[process.job]._replace(erasure="done"))
        return world

    def _begun(self, world: World, kind: str, number: int, due_at: int = 0) -> World:
        return self._continued(world, None, self._use_cases.begin(kind, number, due_at=due_at, now=world.now))

    def _claims(self, world: World, number: int) -> Iterator[Step]:
        """Yield the claims of due entries. A claim under a lease is due again at the next tick."""
        if sum(one.process.kind in WORKERS for one in world.running) >= self.bounds.workers:
            return
        job, lease_ends = world.jobs[number], world.now + 1
        if (due := _due(world, job.due_dispatch, job.claimed_until)) is not None:
            claimed = job._replace(due_dispatch=None, claimed_until=lease_ends, has_slot=True)
            yield f"claim dispatch {number}", self._begun(world.with_job(number, claimed), "dispatch", number, due)
        if (due := _due(world, job.due_poll)) is not None:
            claimed = job._replace(due_poll=lease_ends)
            yield f"claim poll {number}", self._begun(world.with_job(number, claimed), "poll", number, due)
        if (due := _due(world, job.due_sweep)) is not None:
            claimed = job._replace(due_sweep=lease_ends)
            yield f"claim sweep {number}", self._begun(world.with_job(number, claimed), "sweep", number, due)

    def _requests(self, world: World, number: int) -> Iterator[Step]:
        job = world.jobs[number]
        if self.bounds.cancel and not job.cancel_calls:
            asked = world.with_job(number, job._replace(cancel_calls=1))
            yield f"the caller cancels {number}", self._begun(asked, "cancel", number)
        if self.bounds.erase and job.erasure == "none":
            yield from self._erasures(world.with_job(number, job._replace(erasure="requested")), number)
        elif job.erasure == "requested":
            yield from self._erasures(world, number)

    def _erasures(self, world: World, number: int) -> Iterator[Step]:
        if not any(one.process.kind == "erase" and one.process.job == number for one in world.running):
            yield f"the erasure of {number} is processed", self._begun(world, "erase", number)

    def _fal_events(self, world: World, number: int) -> Iterator[Step]:
        job = world.jobs[number]
        for state in fal.endings(job, world.now):
            if self.bounds.may_fail or state == "succeeded":
                ended = job._replace(fal=state, fal_since=world.now)
                yield f"fal's job of {number}: {state}", world.with_job(number, ended)
        if job.fal in ("succeeded", "failed", "canceled") and not job.fal_called_back:
            world = world.with_job(number, job._replace(fal_called_back=True))
            yield f"fal's callback of {number}", self.store.receive_callback(world, number)

    def _time(self, world: World) -> Iterator[Step]:
        if any(_sends(running) for running in world.running):
            return  # the submit leaves at the moment at which Dispatch has checked the age of the intent
        if world.now < self.bounds.ticks and not world.running:
            yield "a minute passes", world._replace(now=world.now + 1)
        elif world.now < self.bounds.ticks and world.faults:
            yield "a minute passes, and the processes are stopped", world._replace(now=world.now + 1).with_fault()
        if self.bounds.clock_steps and world.faults:
            yield "the clock steps back", world._replace(now=world.now - 2).with_fault()
            yield "the clock steps ahead", world._replace(now=world.now + 6).with_fault()

    # --- values ---------------------------------------------------------------------------------------------------

    def _created(self, name: str) -> Job:
        g = Generation(
            id=name,
            tenant_id=f"{ids.TENANT}_{'0' * 26}",
            model=MODEL,
            input={"prompt": PROMPT, "resolution": "720p", "duration": "5"},
            fingerprint="",
            estimated_cost=RATES.estimate("720p", "5"),
            callback_token="token",
            created_at=moment(0),
            expires_at=moment(0) + 4 * TICK,
            end_user_id="customer-7",
            end_user="eu_1",
            webhook_url="https://receiver.invalid/",
        )
        if not self.bounds.starts_unconfirmed:
            return Job(self.store.record(g), due_dispatch=0, due_sweep=4, held=g.estimated_cost)
        unconfirmed = self.store.record(g.submitting(moment(0)).unconfirmed())
        return Job(unconfirmed, due_sweep=2, has_slot=True, held=g.estimated_cost, submits=1, fal="running")

    def _decode(self, token: Any) -> Any:  # noqa: PLR0911  (one return per kind of reply)
        """Return the value that a process receives."""
        match token:
            case Written(won, record, callback_waits):
                return Moved(won, record.generation, callback_waits=callback_waits)
            case Loaded((record,), state, number, with_callback):
                g = None if record is None else record.generation
                submits = 0 if state is None else 1
                callback = None if state is None else fal.callback(number, submits, _any(state))
                return (g, callback) if with_callback else g
            case Billed(jobs):
                return [BillingEvent(fal.request_id(number, 1), moment(at)) for number, at in jobs]
            case Taken():
                return RequestIdTaken("taken")
            case type():
                return token("unavailable")
            case ("accepted", int(number), int(submits)):
                return fal.accepted(number, submits)
            case (str(wire), int(), int()):
                return fal.WIRES[wire]
            case "video":
                return StoredVideo("path", 7, "ab")
            case tuple() if any(isinstance(one, Record) for one in token):
                return [None if one is None else one.generation for one in token]
        return token


def _due(world: World, *ticks: int | None) -> int | None:
    """Return when the entry became due; None: it is not due."""
    return next((tick for tick in ticks if tick is not None and tick <= world.now), None)


def _sends(running: Running) -> bool:
    call = running.process.call
    return call is not None and call.name == "fal.submit" and running.stopped_with is None


def _described(g: Generation) -> str:
    return f" {g.status}" if g.error is None else f" {g.status}: {g.error.message}"


def _path(came_from: dict[World, tuple[World, str] | None], world: World) -> tuple[str, ...]:
    labels: list[str] = []
    while (step := came_from[world]) is not None:
        world, label = step
        labels.append(label)
    return tuple(reversed(labels))


def _any(value: object) -> Any:
    return value
