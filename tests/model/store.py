"""The store of the model: the effect of each call at the border on the keys in Redis, as the Lua scripts have it.

Each function takes effect at once, like a script. It returns the world after the call and the token of the reply.
``replay.py`` compares each with the real script. Each name of ``EFFECTS`` is a method of a real store.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from service.domain.generation import Generation
from service.domain.status import Status
from service.domain.work_queue import WorkQueue
from service.store.generations import records
from tests.model.ports import Call
from tests.model.replies import Billed, Loaded, Taken, Written
from tests.model.times import tick_at
from tests.model.world import Job, Record, World


@dataclass(frozen=True, slots=True)
class Operation:
    """A call that took effect: on which generation, when, the world after it, and the token of its reply."""

    call: Call
    number: int
    at: int
    after: World
    reply: Any
    changes: bool


Effect = Callable[["Store", World, int, Call], tuple[World, Any]]


class Store:
    """Effects of the calls that concern Redis. Records are written and read in their real form."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._records: dict[bytes, Record] = {}
        self.journal: list[Operation] | None = None
        """Receives each operation."""

    def record(self, g: Generation) -> Record:
        """Return the stored form; the same object for the same content."""
        dumped = records.dump(g)
        if dumped not in self._records:
            self._records[dumped] = Record(records.load(dumped), dumped)
        return self._records[dumped]

    def _record_of(self, call: Call) -> Record:
        """Return what a call writes. A call is one object in every world that it is made in."""
        if call.record is None:
            g = call.values[0]
            call.record = self.record(replace(g, version=g.version + 1))
        written: Record = call.record
        return written

    def apply(self, world: World, job: int, call: Call) -> tuple[World, Any]:
        after, reply = EFFECTS[call.name](self, world, job, call)
        if self.journal is not None:
            self.journal.append(Operation(call, job, world.now, after, reply, after is not world))
        return after, reply

    # --- creates and claims -----------------------------------------------------------------------------------------

    def create(self, world: World, number: int, call: Call) -> tuple[World, Any]:
        job, (g, due) = world.jobs[number], call.values
        if job.record is not None:
            return world, "replayed"
        limit = call.named["budgets"].tenant_month
        if limit is not None and sum(one.held + one.spent for one in world.jobs) + g.estimated_cost > limit:
            return world, "over budget"
        job = job._replace(
            record=self.record(g),
            is_created=True,
            due_dispatch=tick_at(due.dispatch),
            due_sweep=tick_at(due.sweep),
            held=g.estimated_cost,
        )
        return world.with_job(number, job), "created"

    def claim_slot(self, world: World, number: int, _call: Call) -> tuple[World, Any]:
        job = world.jobs[number]._replace(due_dispatch=None, claimed_until=world.now + 1, has_slot=True)
        return world.with_job(number, job), None

    def claim_poll(self, world: World, number: int, _call: Call) -> tuple[World, Any]:
        job = world.jobs[number]
        return world.with_job(number, job._replace(due_poll=world.now + 1)), job.due_poll

    def claim_sweep(self, world: World, number: int, _call: Call) -> tuple[World, Any]:
        job = world.jobs[number]
        return world.with_job(number, job._replace(due_sweep=world.now + 1)), job.due_sweep

    # --- records --------------------------------------------------------------------------------------------------

    def save(self, world: World, number: int, call: Call) -> tuple[World, Any]:
        g, due, events = call.values
        job, record = world.jobs[number], self._record_of(call)
        if not _is_version(job, g):
            return world, Written(won=False, record=record)
        if call.named.get("why") and g.request_id in {one.request_id for one in world.jobs}:
            return world, Taken()
        has_verdict = g.status is Status.COPYING
        is_unread = job.is_unread and not has_verdict
        job = job._replace(
            record=record,
            callback=None if has_verdict else job.callback,
            is_unread=is_unread,
            due_dispatch=tick_at(due.dispatch),
            claimed_until=None,
            due_poll=job.due_poll if is_unread else tick_at(due.poll),
            due_sweep=tick_at(due.sweep),
            has_slot=g.holds_slot,
            request_id=job.request_id or (g.request_id if g.status is Status.SUBMITTED else None),
            deliveries=job.deliveries + len(events),
        )
        return world.with_job(number, job), Written(won=True, record=record)

    def finish(self, world: World, number: int, call: Call) -> tuple[World, Any]:
        g, due, events = call.values
        job, record = world.jobs[number], self._record_of(call)
        if not _is_version(job, g):
            return world, Written(won=False, record=record)
        if job.callback is not None and not call.named["verdict"]:
            return world, Written(won=False, record=record, callback_waits=True)
        before = job.generation
        was_unconfirmed = before is not None and before.status is Status.UNCONFIRMED
        job = job._replace(
            record=record,
            callback=None,
            is_unread=False,
            due_dispatch=None,
            claimed_until=None,
            due_poll=None,
            due_sweep=tick_at(due.sweep),
            has_slot=False,
            held=job.held - g.estimated_cost,
            spent=job.spent + (g.actual_cost or 0),
            is_given_up=was_unconfirmed and g.request_id is None,
            deliveries=job.deliveries + len(events),
            announced=job.announced + len(events),
        )
        return world.with_job(number, job), Written(won=True, record=record)

    def purge(self, world: World, number: int, call: Call) -> tuple[World, Any]:
        job = world.jobs[number]
        if not _is_version(job, call.values[0]):
            return world, False
        return world.with_job(
            number, job._replace(record=None, callback=None, due_sweep=None, is_marked_lost=False)
        ), True

    def reschedule_poll(self, world: World, number: int, call: Call) -> tuple[World, Any]:
        job, until = world.jobs[number], tick_at(call.values[1])
        if job.is_unread or job.due_poll is None:
            return world, None
        return world.with_job(number, job._replace(due_poll=until)), None

    def reschedule_sweep(self, world: World, number: int, call: Call) -> tuple[World, Any]:
        job, (g, until) = world.jobs[number], call.values
        if not _is_version(job, g) or job.due_sweep is None:
            return world, None
        return world.with_job(number, job._replace(due_sweep=tick_at(until))), None

    def load(self, world: World, number: int, _call: Call) -> tuple[World, Any]:
        return world, Loaded((world.jobs[number].record,))

    def load_many(self, world: World, _number: int, call: Call) -> tuple[World, Any]:
        return world, tuple(world.jobs[self._names.index(name)].record for name in call.values[0])

    # --- callbacks ------------------------------------------------------------------------------------------------

    def load_with_callback(self, world: World, number: int, _call: Call) -> tuple[World, Any]:
        job = world.jobs[number]
        return world, Loaded((job.record,), job.callback, number, with_callback=True)

    def read_callback(self, world: World, number: int, _call: Call) -> tuple[World, Any]:
        job = world.jobs[number]
        return world.with_job(number, job._replace(is_unread=False)), Loaded(
            (job.record,), job.callback, number, with_callback=True
        )

    def forget_callback(self, world: World, number: int, _call: Call) -> tuple[World, Any]:
        return world.with_job(number, world.jobs[number]._replace(callback=None, is_unread=False)), None

    def receive_callback(self, world: World, number: int, _call: Call) -> tuple[World, Any]:
        job, g = world.jobs[number], world.jobs[number].generation
        if g is None:
            return world, "unknown"
        if not g.is_terminal:
            job = job._replace(callback=job.fal, is_unread=True, due_poll=world.now)
            return world.with_job(number, job), "accepted"
        if job.fal == "succeeded" and g.is_given_up and not g.erased:
            job = job._replace(callback=job.fal, is_marked_lost=True)
            return world.with_job(number, job), "paid_and_lost"
        return world, "ended"

    # --- due sets, deliveries, videos, submits in doubt -------------------------------------------------------------

    def remove_due(self, world: World, number: int, call: Call) -> tuple[World, Any]:
        job = world.jobs[number]
        job = job._replace(due_poll=None) if call.values[0] is WorkQueue.POLL else job._replace(due_sweep=None)
        return world.with_job(number, job), None

    def forget_deliveries(self, world: World, number: int, _call: Call) -> tuple[World, Any]:
        return world.with_job(number, world.jobs[number]._replace(deliveries=0)), True

    def write_video(self, world: World, number: int, _call: Call) -> tuple[World, Any]:
        return world.with_job(number, world.jobs[number]._replace(has_video=True)), "video"

    def delete_video(self, world: World, number: int, _call: Call) -> tuple[World, Any]:
        return world.with_job(number, world.jobs[number]._replace(has_video=False)), None

    def in_doubt(self, world: World, _number: int, _call: Call) -> tuple[World, Any]:
        return world, tuple(name for name, job in zip(self._names, world.jobs, strict=True) if _is_in_doubt(job))

    def given_up(self, world: World, _number: int, _call: Call) -> tuple[World, Any]:
        return world, tuple(
            (name, g.submitted_at)
            for name, job in zip(self._names, world.jobs, strict=True)
            if job.is_given_up and (g := job.generation) is not None
        )

    def find_known(self, world: World, _number: int, _call: Call) -> tuple[World, Any]:
        return world, frozenset(job.request_id for job in world.jobs if job.request_id is not None)

    def mark_lost(self, world: World, number: int, _call: Call) -> tuple[World, Any]:
        return world.with_job(number, world.jobs[number]._replace(is_marked_lost=True)), None

    def unmark_lost(self, world: World, number: int, _call: Call) -> tuple[World, Any]:
        return world.with_job(number, world.jobs[number]._replace(is_marked_lost=False)), None

    def bill(self, world: World, _number: int, _call: Call) -> tuple[World, Any]:
        return world, Billed(tuple((n, job.fal_since) for n, job in enumerate(world.jobs) if job.is_billed))


def _is_version(job: Job, g: Generation) -> bool:
    return job.generation is not None and job.generation.version == g.version


def _is_in_doubt(job: Job) -> bool:
    return job.generation is not None and job.generation.status in (Status.SUBMITTING, Status.UNCONFIRMED)


EFFECTS: Final[dict[str, Effect]] = {
    "generations.create": Store.create,
    "queue.claim": Store.claim_slot,
    "due.claim_polls": Store.claim_poll,
    "due.claim": Store.claim_sweep,
    "callbacks.receive": Store.receive_callback,
    "generations.save": Store.save,
    "generations.finish": Store.finish,
    "generations.purge": Store.purge,
    "generations.reschedule_poll": Store.reschedule_poll,
    "generations.reschedule_sweep": Store.reschedule_sweep,
    "generations.load": Store.load,
    "generations.load_many": Store.load_many,
    "callbacks.load": Store.load_with_callback,
    "callbacks.read": Store.read_callback,
    "callbacks.forget": Store.forget_callback,
    "due.remove": Store.remove_due,
    "deliveries.delete": Store.forget_deliveries,
    "deliveries.purge": Store.forget_deliveries,
    "videos.write": Store.write_video,
    "videos.delete": Store.delete_video,
    "submissions.in_doubt": Store.in_doubt,
    "submissions.given_up": Store.given_up,
    "submissions.find_known": Store.find_known,
    "submissions.mark_lost": Store.mark_lost,
    "submissions.unmark_lost": Store.unmark_lost,
    "billing.events": Store.bill,
}
