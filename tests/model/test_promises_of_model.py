"""The explorer finds what breaks the promises of the model."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final
from unittest.mock import patch

import pytest

from service.domain import transitions
from service.domain.billing import Adopted
from service.domain.generation import Generation
from service.domain.outcomes import Unknown
from service.domain.status import UPSTREAM, Status
from service.usecases.lifecycle import reconciliation
from service.usecases.lifecycle.schedule import Schedule
from tests.model.explorer import Explorer
from tests.model.ports import without_an_event_loop
from tests.model.promises import PROMISES
from tests.model.replies import Written
from tests.model.scenarios import DEADLINE, EVERYTHING, FAULTS, REQUESTS, TWO_UNCONFIRMED, Bounds
from tests.model.store import EFFECTS, Store


@pytest.fixture(autouse=True)
def _deterministic() -> Iterator[None]:
    with without_an_event_loop():
        yield


# --- what breaks the promises ---------------------------------------------------------------------------------------

after_submit, after_deadline, cancel = transitions.after_submit, transitions.after_deadline, transitions.cancel
stripped, due = Generation.stripped, Schedule.due
#: Of all steps, only those of one submit.
SUBMIT: Final = replace(FAULTS, cancel=False, may_fail=False)


def _requeue_unknown(g: Generation, outcome: Any, now: Any) -> Generation | None:
    return (
        g.requeued()
        if isinstance(outcome, Unknown) and g.status is Status.SUBMITTING
        else after_submit(g, outcome, now)
    )


def _requeue_expired_submit(g: Generation, now: Any) -> Generation | None:
    return g.requeued() if g.status is Status.SUBMITTING else after_deadline(g, now)


def _cancel_at_fal_at_once(g: Generation, now: Any) -> Generation | None:
    return g.canceled(0, now) if g.status in UPSTREAM else cancel(g, now)


def _finish_without_version(store: Store, world: Any, number: int, call: Any) -> Any:
    stored = world.jobs[number].generation
    call.values = (replace(call.values[0], version=stored.version if stored else 0), *call.values[1:])
    call.record = None
    return Store.finish(store, world, number, call)


def _finish_without_slot(store: Store, world: Any, number: int, call: Any) -> Any:
    had_slot = world.jobs[number].has_slot
    world, reply = Store.finish(store, world, number, call)
    if isinstance(reply, Written) and reply.won:
        world = world.with_job(number, world.jobs[number]._replace(has_slot=had_slot))
    return world, reply


def _adopt_any(unconfirmed: Any, _rivals: Any, events: Any) -> Any:
    return {one.id: Adopted(events[0].request_id) if events else "absent" for one in unconfirmed}


def _no_poll_when_submitted(self: Schedule, g: Generation, now: Any, **named: Any) -> Any:
    found = due(self, g, now, **named)
    return replace(found, poll=None) if g.status is Status.SUBMITTED else found


def _erase_without_input(g: Generation, now: Any) -> Generation:
    return replace(stripped(g, now), input=g.input)


#: Of each fault: what is replaced, by what, where the explorer searches, and the promise that it finds broken.
FAULTY: Final[dict[str, tuple[Any, str, Any, Bounds, str]]] = {
    "a submit without a response is repeated": (transitions, "after_submit", _requeue_unknown, SUBMIT, "two submits"),
    "an expired submit is repeated": (transitions, "after_deadline", _requeue_expired_submit, SUBMIT, "two submits"),
    "a cancel ends a job at fal at once": (transitions, "cancel", _cancel_at_fal_at_once, REQUESTS, "free of charge"),
    "a billed job costs nothing": (transitions, "_cost", lambda *_: 0, DEADLINE, "free of charge"),
    "the deadline comes without a final check": (
        transitions, "after_status", lambda g, _outcome, now: transitions.after_timeout(g, now),
        REQUESTS, "without a final check",
    ),
    "an end ignores the version of the record": (
        EFFECTS, "generations.finish", _finish_without_version, EVERYTHING, "",  # several
    ),
    "an end keeps its slot": (EFFECTS, "generations.finish", _finish_without_slot, REQUESTS, "has a slot"),
    "a billing event is adopted without a check": (
        reconciliation, "matches", _adopt_any, TWO_UNCONFIRMED, "follows request",
    ),
    "an erasure leaves the prompt": (Generation, "stripped", _erase_without_input, REQUESTS, "erased end user"),
    "a submitted job is not polled": (Schedule, "due", _no_poll_when_submitted, REQUESTS, "due in no queue"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTY)
def test_fault_has_a_counter_example(name: str) -> None:
    target, attribute, faulty, bounds, promise = FAULTY[name]
    with ExitStack() as changed:
        if isinstance(target, dict):
            changed.enter_context(patch.dict(target, {attribute: faulty}))
        else:
            changed.enter_context(patch.object(target, attribute, faulty))
        found = Explorer(bounds, PROMISES).explore()
    assert found.broken is not None, f"{found.states} states, and no promise is broken"
    assert promise in found.broken.promise, str(found.broken)
    assert found.broken.steps
