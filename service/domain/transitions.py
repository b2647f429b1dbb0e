"""Every decision about what a generation becomes: pure functions from a record and an event to the next record.

Each returns the generation after the event, or None where the event changes nothing in the status that it is in. The
functions may be called again with a newer record after a lost race. ``status.TRANSITIONS`` lists all legal transitions;
the methods of ``Generation`` that these functions call check each one against that table.

Costs are in micro-USD.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final, assert_never

from service.domain import drafts
from service.domain.failure import Failure
from service.domain.generation import Generation, LogLine, StoredVideo
from service.domain.outcomes import (
    Accepted,
    Canceled,
    Failed,
    InQueue,
    Locked,
    Missing,
    NotSubmitted,
    Rejected,
    Running,
    SubmitOutcome,
    Succeeded,
    Unknown,
)
from service.domain.pricing import Rates
from service.domain.settlement import settled
from service.domain.status import UPSTREAM, Status
from service.errors import NotCancellable

NOT_SUBMITTED: Final = Failure("submission_unconfirmed", "The upstream never took the request.", retryable=True)
UNCONFIRMED: Final = Failure("submission_unconfirmed", "The upstream never confirmed that it took the request.")
UNBILLED: Final = Failure(
    "submission_unconfirmed", "The upstream neither confirmed nor billed the request.", retryable=True
)
EXPIRED: Final = Failure("expired", "It waited in the queue for longer than it was allowed to.", retryable=True)
TIMED_OUT: Final = Failure("upstream_timeout", "The upstream did not finish within the deadline.", retryable=True)
_REFUSED: Final = "The upstream refused the request each time, and accepted others meanwhile."


# --- submit -----------------------------------------------------------------------------------------------------------


def fail_preflight(g: Generation, failure: Failure, now: datetime) -> Generation | None:
    """Fail a queued generation whose images cannot be used. Nothing was submitted, so it costs nothing."""
    return g.failed(failure, 0, now) if g.status is Status.QUEUED else None


def begin_submit(g: Generation, now: datetime) -> Generation | None:
    """Record the intent to submit a queued generation, before the first byte leaves."""
    return g.submitting(now) if g.status is Status.QUEUED else None


def after_submit(g: Generation, outcome: SubmitOutcome, now: datetime) -> Generation | None:
    """Apply the outcome of a submit.

    A generation that its lease made unconfirmed meanwhile is still decided here: only the outcome says whether anything
    was paid.
    """
    if g.status not in (Status.SUBMITTING, Status.UNCONFIRMED):
        return None
    match outcome:
        case Accepted(request_id):
            return g.submitted(request_id)
        case NotSubmitted() | Locked():
            return after_not_sent(g, now)
        case Rejected(failure):
            return g.failed(failure, 0, now)
        case Unknown():
            return g.unconfirmed() if g.status is Status.SUBMITTING else None
    assert_never(outcome)


def after_not_sent(g: Generation, now: datetime) -> Generation | None:
    """Queue again what fal is proved not to have; cancel it if a cancel was requested meanwhile.

    An unconfirmed generation fails instead: it is never sent again.
    """
    match g.status:
        case Status.SUBMITTING:
            return g.requeued() if g.cancel_requested_at is None else g.requeued().canceled(0, now)
        case Status.UNCONFIRMED:
            return g.failed(NOT_SUBMITTED, 0, now)
    return None


def after_refusals(g: Generation, reason: str, now: datetime) -> Generation | None:
    """Fail a generation that fal has refused too often while it accepted others."""
    if g.status is Status.SUBMITTING and g.cancel_requested_at is None:
        return g.failed(Failure("upstream_unavailable", f"{_REFUSED} {reason}", retryable=True), 0, now)
    return after_not_sent(g, now)


# --- adoption: fal's request id becomes known after the submit --------------------------------------------------------


def after_callback(g: Generation, request_id: str, now: datetime) -> Generation | None:
    """Adopt the request id of fal's callback, if the generation has none.

    A generation that is queued again after a refusal was accepted nevertheless: sending it once more would pay twice.
    """
    match g.status:
        case Status.QUEUED:
            return g.submitting(now).submitted(request_id)
        case Status.SUBMITTING:
            return g.submitted(request_id)
        case Status.UNCONFIRMED:
            return g.adopted(request_id, now)
    return None


def adopt(g: Generation, request_id: str, now: datetime) -> Generation | None:
    """Adopt a request id that fal's bill or an operator names for an unconfirmed generation."""
    return g.adopted(request_id, now) if g.status is Status.UNCONFIRMED else None


def dismiss(g: Generation, now: datetime) -> Generation | None:
    """Fail an unconfirmed generation at no cost: an operator declares that fal never accepted it."""
    return g.failed(NOT_SUBMITTED, 0, now) if g.status is Status.UNCONFIRMED else None


# --- poll -------------------------------------------------------------------------------------------------------------


def after_status(g: Generation, outcome: InQueue | Running | Missing, now: datetime) -> Generation | None:
    """Apply a status response of fal; the same object where it shows nothing new."""
    if g.status not in UPSTREAM:
        return None
    match outcome:
        case InQueue(position, logs):
            return g.polled(position=position, logs=logs)
        case Running(logs):
            seen = g.polled(position=None, logs=logs)
            return seen.started(now) if seen.status is Status.SUBMITTED else seen
        case Missing():
            return g.polled(position=g.upstream_position, logs=())
    assert_never(outcome)


def after_poll_error(g: Generation, now: datetime) -> Generation | None:
    """Count a poll without a usable response. It never fails the generation."""
    return g.poll_failed(now) if g.status in UPSTREAM else None


def after_timeout(g: Generation, now: datetime) -> Generation | None:
    """Fail a job that fal did not finish within its deadline. fal may bill it, so the estimate counts as spent."""
    return g.failed(TIMED_OUT, g.estimated_cost, now) if g.status in UPSTREAM else None


def after_result(
    g: Generation,
    result: Succeeded | Failed | Canceled,
    logs: tuple[LogLine, ...],
    now: datetime,
    *,
    rates: Rates,
    copies_video: bool,
) -> Generation | None:
    """Apply fal's result. With ``copies_video``, a success leads to ``copying`` first."""
    if g.status not in UPSTREAM:
        return None
    seen, units = g.polled(position=None, logs=logs), result.billable_units
    match result:
        case Succeeded(output):
            cost = _cost(g, result, rates)
            seen = _compared(seen, cost, rates)
            if copies_video:
                return seen.copying_started(output, cost, now, units=units)
            return seen.succeeded(output, cost, now, units=units)
        case Failed(failure):
            return seen.failed(failure, _cost(g, result, rates), now, units=units)
        case Canceled():
            if g.cancel_requested_at is None and g.cancel_sent_at is not None:  # the deadline canceled it
                return seen.failed(TIMED_OUT, _cost(g, result, rates), now, units=units)
            return seen.canceled(_cost(g, result, rates), now, units=units)
    assert_never(result)


def _cost(g: Generation, result: Succeeded | Failed | Canceled, rates: Rates) -> int:
    """Return what the result costs. Where fal names no units, only a success, or a lost one, is presumed billed."""
    presumed = isinstance(result, Succeeded) or (isinstance(result, Failed) and result.presumed_billed)
    if result.billable_units is None and not presumed:
        return 0
    return settled(g, result.billable_units, rates).cost


def _compared(g: Generation, cost: int, rates: Rates) -> Generation:
    """Record what the video of a draft would have cost at 1080p at once."""
    if not g.is_draft:
        return g
    direct = rates.rescaled(cost, g.input["resolution"], g.input["duration"], to=drafts.RESOLUTION)
    return replace(g, direct_cost=direct)


# --- copy of the video ------------------------------------------------------------------------------------------------


def after_copy(g: Generation, stored: StoredVideo, *, url: str, content_type: str, now: datetime) -> Generation | None:
    """Succeed with the stored copy at ``url``. ``content_type``: of the copy, where fal names none."""
    if g.copying is None:
        return None
    output = g.copying.output
    video = replace(
        output.video,
        url=url,
        content_type=output.video.content_type or content_type,
        file_size=stored.size,
        source=output.video.url,
    )
    return g.copied(now, replace(output, video=video), stored)


def after_copy_failed(g: Generation) -> Generation | None:
    """Count a failed copy; another follows."""
    return g.copy_failed() if g.status is Status.COPYING else None


def after_copy_abandoned(g: Generation, now: datetime) -> Generation | None:
    """Succeed with fal's own URL: the video could not be copied."""
    return g.copied(now) if g.status is Status.COPYING else None


# --- deadlines that the sweep watches ---------------------------------------------------------------------------------


def after_deadline(g: Generation, now: datetime) -> Generation | None:
    """Apply the passed deadline of a status. Where fal may have billed the job, the estimate counts as spent.

    The deadline of a job that fal has is not among these: polls watch it, because only they can ask fal once more.
    """
    match g.status:
        case Status.QUEUED:
            return g.failed(EXPIRED, 0, now)
        case Status.SUBMITTING:
            return g.unconfirmed()
        case Status.UNCONFIRMED:
            return g.failed(UNCONFIRMED, g.estimated_cost, now)
    return after_copy_abandoned(g, now)


def after_unbilled(g: Generation, now: datetime) -> Generation | None:
    """Fail an unconfirmed generation at no cost: its deadline has passed, and fal did not bill it."""
    return g.failed(UNBILLED, 0, now) if g.status is Status.UNCONFIRMED else None


# --- cancel and erasure -----------------------------------------------------------------------------------------------


def cancel(g: Generation, now: datetime) -> Generation | None:
    """Cancel a queued generation at once; record the request for any other.

    Raises NotCancellable if the generation has ended.
    """
    if g.is_terminal:
        raise NotCancellable(f"The generation has already ended: {g.status}.")
    return g.canceled(0, now) if g.status is Status.QUEUED else request_cancel(g, now)


def request_cancel(g: Generation, now: datetime) -> Generation | None:
    """Record the first request to cancel; the next poll sends it to fal."""
    return None if g.is_terminal or g.cancel_requested_at is not None else g.cancel_requested(now)


def after_cancel_call(g: Generation, now: datetime, *, accepted: bool) -> Generation | None:
    """Record whether fal accepted the cancel call. The result of the job decides what the call achieved."""
    if g.status not in UPSTREAM:
        return None
    return g.cancel_accepted(now) if accepted else g.cancel_refused()


def erase(g: Generation, now: datetime) -> Generation | None:
    """Remove the end user's data from a generation that has not ended, and end it where fal has no part any more.

    A queued generation is canceled. One whose video is being copied succeeds, without its video. Any other continues
    until fal ends it: its cost is still to be settled.
    """
    if g.is_terminal:
        return None
    stripped = g.stripped(now)
    match g.status:
        case Status.QUEUED:
            return stripped.canceled(0, now)
        case Status.COPYING:
            return stripped.copied(now)
    return stripped
