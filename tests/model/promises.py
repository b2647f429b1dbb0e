"""The promises of the gateway, each as a check of one step. A check returns how the step breaks the promise."""

from typing import Final

from service.domain.status import UPSTREAM, Status
from tests.model.creates import PROMPT
from tests.model.explorer import Promise
from tests.model.processes import SCHEDULE
from tests.model.times import moment
from tests.model.world import Job, World


def submitted_once(_before: Job, after: Job, _world: World) -> str | None:
    """fal takes at most one submit of a generation."""
    return "fal took two submits of one generation" if after.submits > 1 else None


def reported_never_failed(before: Job, after: Job, _world: World) -> str | None:
    """A job whose success fal has reported before its end ends with its video."""
    was, now = before.generation, after.generation
    if was is None or now is None or was.is_terminal or now.status not in (Status.FAILED, Status.CANCELED):
        return None
    return "a generation ended without the video that fal had reported" if before.callback == "succeeded" else None


def lost_is_marked(_before: Job, after: Job, _world: World) -> str | None:
    """A video that fal reports after the gateway gave up is in the operators' list of paid and lost ones."""
    g = after.generation
    if g is None or not g.is_given_up or g.erased or not (after.is_billed and after.fal_called_back):
        return None
    return None if after.is_marked_lost else "a paid video is lost, and is not in the list for operators"


def given_up_after_a_final_check(before: Job, after: Job, _world: World) -> str | None:
    """A job that fal has is given up only if fal has answered after the deadline that the job still runs."""
    was, now = before.generation, after.generation
    if was is None or now is None or was.status not in UPSTREAM or not now.is_given_up:
        return None
    was_asked = moment(after.fal_asked_at) >= SCHEDULE.deadline(was, moment(0))
    return None if was_asked else "a job at fal was given up without a final check"


def money_is_consistent(_before: Job, after: Job, _world: World) -> str | None:
    """Before its end a generation holds its estimate; then it has spent its cost. Nothing is counted twice."""
    g = after.generation
    if g is None:
        return "a purged generation still holds money" if after.held else None
    expected = (0, g.actual_cost) if g.is_terminal else (g.estimated_cost, 0)
    return None if (after.held, after.spent) == expected else f"held and spent are {after.held}, {after.spent}"


def billed_is_charged(before: Job, after: Job, _world: World) -> str | None:
    """A generation that fal has billed, and whose bill could be read, does not end free of charge."""
    was, now = before.generation, after.generation
    if was is None or now is None or was.is_terminal or not now.is_terminal or now.actual_cost:
        return None
    return "a generation that fal has billed ended free of charge" if before.is_billed else None


def slot_follows_status(_before: Job, after: Job, _world: World) -> str | None:
    """A slot is in use while fal may work on the job, and free once the generation has ended."""
    g = after.generation
    if g is None or g.is_terminal:
        return "an ended generation has a slot" if after.has_slot else None
    return "a generation that fal may work on has no slot" if g.holds_slot and not after.has_slot else None


def end_is_announced_once(_before: Job, after: Job, _world: World) -> str | None:
    """Every end makes one delivery, except where the end user is erased."""
    g = after.generation
    if g is None:
        return None
    expected = 1 if g.is_terminal and not g.erased else 0
    return None if after.announced == expected else f"an end was announced {after.announced} times"


def end_is_final(before: Job, after: Job, _world: World) -> str | None:
    """An ended generation keeps its status, error, output and cost."""
    was, now = before.generation, after.generation
    if was is None:
        return "a purged generation is back" if now is not None and before.is_created else None
    if now is None:
        return None if was.is_terminal else "a generation was purged before its end"
    if not was.is_terminal:
        return None
    same = (was.status, was.error, was.output, was.actual_cost) == (now.status, now.error, now.output, now.actual_cost)
    return None if same else "an ended generation has changed its end"


def erased_stays_erased(before: Job, after: Job, _world: World) -> str | None:
    """After an erasure no record and no delivery of the end user comes back."""
    if after.erasure != "done":
        return None
    g = after.generation
    if after.deliveries:
        return "a delivery with the data of an erased end user exists"
    if g is not None and (not g.erased or PROMPT in repr(after.record and after.record.dumped) or g.output):
        return "a record has the data of an erased end user"
    return None


def work_is_due(_before: Job, after: Job, world: World) -> str | None:
    """Every generation is due in a queue that leads it to its end: nothing waits forever."""
    g = after.generation
    if g is None:
        return None
    match g.status:
        case Status.QUEUED:
            is_due = after.due_dispatch is not None or after.claimed_until is not None or after.due_poll is not None
        case Status.SUBMITTING | Status.UNCONFIRMED:
            is_due = after.due_sweep is not None
        case status if status in UPSTREAM or status is Status.COPYING:
            is_due = after.due_poll is not None
        case _:
            is_due = after.due_sweep is not None
    return None if is_due else f"a generation that is {g.status} is due in no queue"


OF_ONE_JOB: Final = (
    submitted_once,
    reported_never_failed,
    lost_is_marked,
    given_up_after_a_final_check,
    money_is_consistent,
    billed_is_charged,
    slot_follows_status,
    end_is_announced_once,
    end_is_final,
    erased_stays_erased,
    work_is_due,
)


def adopted_is_own(_before: World, after: World) -> str | None:
    """A generation follows its own job at fal, and no other's."""
    for number, job in enumerate(after.jobs):
        found = None if job.generation is None else job.generation.request_id
        if found is not None and not found.startswith(f"request-{number}-"):
            return f"generation {number} follows {found}"
    return None


def budget_is_kept(_before: World, after: World) -> str | None:
    """Held and spent money together stay within the budget."""
    used = sum(job.held + job.spent for job in after.jobs)
    return None if after.budget is None or used <= after.budget else f"{used} of a budget of {after.budget} is used"


def no_process_fails(_before: World, after: World) -> str | None:
    """No process makes a transition that the table does not have, or ends with an error that nothing expects."""
    return f"a process fails: {after.error}" if after.error else None


def each_job_keeps_its_promises(before: World, after: World) -> str | None:
    for was, now in zip(before.jobs, after.jobs, strict=True):
        if was is not now:
            for promise in OF_ONE_JOB:
                if (broken := promise(was, now, after)) is not None:
                    return broken
    return None


PROMISES: Final[tuple[Promise, ...]] = (
    each_job_keeps_its_promises,
    adopted_is_own,
    budget_is_kept,
    no_process_fails,
)
#: With the one that the explorer checks itself: every generation ends.
COUNT: Final = len(OF_ONE_JOB) + len(PROMISES)
