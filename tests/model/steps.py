"""The steps of the model: calls that take effect, events at fal, requests of the caller, faults, and time."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, NamedTuple

from service.domain import ids
from service.domain.generation import Generation
from service.errors import MediaUnavailable, NotCancellable, StoreUnavailable
from tests.model import fal
from tests.model.creates import ESTIMATE, create_call
from tests.model.ports import Call
from tests.model.processes import SCHEDULE, Process, Reply, UseCases
from tests.model.replies import Written, decode
from tests.model.scenarios import Bounds
from tests.model.store import Store
from tests.model.times import moment
from tests.model.world import Job, Running, World

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
#: The claim of each kind of worker.
CLAIMS: Final = {"dispatch": Call("queue.claim"), "poll": Call("due.claim_polls"), "sweep": Call("due.claim")}
LOST: Final = ", which a failover of Redis loses"
_RECEIVE: Final = Call("callbacks.receive")
#: Errors that a process may end with. Its work is due again.
_EXPECTED: Final = (StoreUnavailable, MediaUnavailable, NotCancellable)


class Step(NamedTuple):
    label: str
    after: World


class Effect(NamedTuple):
    """What the call of a process may do: the world after it, the reply, and the faults that it costs."""

    name: str
    after: World
    reply: Any
    cost: int = 0
    stops: bool = False
    """The process is stopped before it continues with the reply."""


class Steps:
    """Yields every step from a world. A step applies its calls to the store while it is made."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.names = [f"{ids.GENERATION}_{str(number) * 26}" for number in range(bounds.generations)]
        self.store = Store(self.names)
        self._use_cases = UseCases(self.names, decode)
        self._budget = None if bounds.budget is None else bounds.budget * ESTIMATE

    def initial(self) -> World:
        world = World(0, tuple(Job() for _ in self.names), faults=self.bounds.faults, budget=self._budget)
        if not self.bounds.starts_unconfirmed:
            return world
        for number in range(len(self.names)):
            world = self._unconfirmed(world, number)
        return world._replace(now=1)

    def _unconfirmed(self, world: World, number: int) -> World:
        """Create a generation and submit it without a response."""
        create = create_call(self.names[number], 0, None)
        world, _ = self.store.apply(world, number, create)
        world, _ = self.store.apply(world, number, CLAIMS["dispatch"])
        intent = create.values[0].submitting(moment(0))
        for g in (intent, replace(intent, version=2).unconfirmed()):
            call = Call("generations.save", (g, SCHEDULE.due(g, moment(0)), ()))
            world, _ = self.store.apply(world, number, call)
        return world.with_job(number, world.jobs[number]._replace(is_answered=True, submits=1, fal="running"))

    def steps(self, world: World) -> Iterator[Step]:
        for running in world.running:
            yield from self.of_process(world, running)
        for number in range(len(world.jobs)):
            yield from self.claims(world, number)
            yield from self._creates(world, number)
            if world.jobs[number].is_created:
                yield from self._requests(world, number)
                yield from self._fal_events(world, number)
        yield from self._time(world)

    # --- processes ------------------------------------------------------------------------------------------------

    def of_process(self, world: World, running: Running) -> Iterator[Step]:
        process, call = running.process, running.process.call
        who = f"{process.kind} {process.job}"
        if running.stopped_with is not None:
            yield Step(f"{who}: continues", self._resumed(world, running, running.stopped_with))
        elif call is not None:
            effects = self._fal_effects if call.name.startswith("fal.") else self._store_effects
            for effect in effects(world, process, call):
                after = effect.after._replace(faults=world.faults - effect.cost)
                if effect.stops:
                    after = after.with_running(running, Running(process, effect.reply))
                else:
                    after = self._resumed(after, running, effect.reply)
                yield Step(f"{who}: {effect.name}", after)
        if process.kind != "cancel" and world.faults:
            yield Step(f"{who}: dies", world.with_running(running, None).with_fault())

    def _fal_effects(self, world: World, process: Process, call: Call) -> Iterator[Effect]:
        number, job = process.job, world.jobs[process.job]
        is_submit = call.name == "fal.submit"
        replies = fal.submit_replies(job, world.now) if is_submit else fal.read_replies(call.name, job, world.now)
        for wire, changed, cost in replies:
            is_explored = self.bounds.may_fail or not is_submit or wire in ("accepted", "no response")
            if is_explored and cost <= world.faults:
                taken = " (fal took it)" if changed.submits > job.submits else ""
                reply = (wire, number, changed.submits)
                yield Effect(f"{call.name} -> {wire}{taken}", world.with_job(number, changed), reply, cost)

    def _store_effects(self, world: World, process: Process, call: Call) -> Iterator[Effect]:
        number, is_write = process.job, call.name in _WRITES
        name = f"{call.name}{_described(call.values[0])}" if is_write else call.name
        after, reply = self.store.apply(world, number, call)
        is_refused = isinstance(reply, Written) and not reply.won
        found = f"{name} (callback stored)" if is_refused and reply.callback_waits else f"{name} (lost the race)"
        done = Effect(found if is_refused else name, after, reply)
        yield done
        if not is_write or not world.faults:
            return
        yield Effect(f"{name}, Redis is unavailable", world, StoreUnavailable, 1)
        if not is_refused:
            after, _ = self.store.apply(world, number, call)
            yield Effect(f"{name}, the reply is lost", after, StoreUnavailable, 1)
        if process.kind == "dispatch" and call.name == "generations.save":
            after, reply = self.store.apply(world, number, call)
            yield Effect(f"{done.name}, and it stops", after, reply, 1, stops=True)

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
        if process.kind == "erase" and getattr(process.result, "kind", "") in ("stripped", "erased", "absent"):
            return world.with_job(process.job, world.jobs[process.job]._replace(erasure="done"))
        return world

    def _begun(self, world: World, kind: str, number: int, due_at: int = 0) -> World:
        return self._continued(world, None, self._use_cases.begin(kind, number, due_at=due_at, now=world.now))

    def claims(self, world: World, number: int) -> Iterator[Step]:
        """Yield the claims of due entries. A claim under a lease is due again at the next tick."""
        if sum(one.process.kind in CLAIMS for one in world.running) >= self.bounds.workers:
            return
        for kind, call in CLAIMS.items():
            if (due := due_since(world, number, kind)) is not None:
                claimed, _ = self.store.apply(world, number, call)
                yield Step(f"claim {kind} {number}", self._begun(claimed, kind, number, due))
                if world.faults:
                    lost = self._begun(world.with_fault(), kind, number, due)
                    yield Step(f"claim {kind} {number}{LOST}", lost)

    # --- requests, fal, time --------------------------------------------------------------------------------------

    def _creates(self, world: World, number: int) -> Iterator[Step]:
        """Yield the creates of a caller, who repeats a create without a response."""
        job = world.jobs[number]
        if job.is_answered or (job.is_created and job.record is None):
            return
        after, reply = self.store.apply(world, number, create_call(self.names[number], world.now, self._budget))
        is_accepted = reply != "over budget"
        answered = after.with_job(number, after.jobs[number]._replace(is_answered=is_accepted))
        yield Step(f"the caller creates {number}: {reply}", answered)
        if is_accepted and world.faults:
            after, _ = self.store.apply(world, number, create_call(self.names[number], world.now, self._budget))
            yield Step(f"the caller creates {number}: {reply}, the response is lost", after.with_fault())

    def _requests(self, world: World, number: int) -> Iterator[Step]:
        job = world.jobs[number]
        if self.bounds.cancel and not job.cancel_calls:
            asked = world.with_job(number, job._replace(cancel_calls=1))
            yield Step(f"the caller cancels {number}", self._begun(asked, "cancel", number))
        if self.bounds.erase and job.erasure == "none":
            yield from self._erasures(world.with_job(number, job._replace(erasure="requested")), number)
        elif job.erasure == "requested":
            yield from self._erasures(world, number)

    def _erasures(self, world: World, number: int) -> Iterator[Step]:
        if not any(one.process.kind == "erase" and one.process.job == number for one in world.running):
            yield Step(f"the erasure of {number} is processed", self._begun(world, "erase", number))

    def _fal_events(self, world: World, number: int) -> Iterator[Step]:
        job = world.jobs[number]
        for state in fal.endings(job, world.now):
            if self.bounds.may_fail or state == "succeeded":
                ended = job._replace(fal=state, fal_since=world.now)
                yield Step(f"fal's job of {number}: {state}", world.with_job(number, ended))
        if job.fal in ("succeeded", "failed", "canceled") and not job.fal_called_back:
            called = world.with_job(number, job._replace(fal_called_back=True))
            after, reply = self.store.apply(called, number, _RECEIVE)
            yield Step(f"fal's callback of {number}: {reply}", after)

    def _time(self, world: World) -> Iterator[Step]:
        if not any(job.is_created for job in world.jobs):
            return  # only the difference to the first create matters
        if any(_sends(running) for running in world.running):
            return  # the submit leaves at the moment at which Dispatch has checked the age of the intent
        if world.now < self.bounds.ticks and not world.running:
            yield Step("a minute passes", world._replace(now=world.now + 1))
        elif world.now < self.bounds.ticks and world.faults:
            yield Step("a minute passes, and the processes are stopped", world._replace(now=world.now + 1).with_fault())
        if self.bounds.clock_steps and world.faults:
            yield Step("the clock steps back", world._replace(now=world.now - 2).with_fault())
            yield Step("the clock steps ahead", world._replace(now=world.now + 6).with_fault())


def due_since(world: World, number: int, kind: str) -> int | None:
    """Return when the entry became due; None: it is not due."""
    job = world.jobs[number]
    ticks = {
        "dispatch": (job.due_dispatch, job.claimed_until),
        "poll": (job.due_poll,),
        "sweep": (job.due_sweep,),
    }[kind]
    return next((tick for tick in ticks if tick is not None and tick <= world.now), None)


def _sends(running: Running) -> bool:
    call = running.process.call
    return call is not None and call.name == "fal.submit" and running.stopped_with is None


def _described(g: Generation) -> str:
    return f" {g.status}" if g.error is None else f" {g.status}: {g.error.message}"
