"""Every decision about what a generation becomes, from every status."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import pytest

from service.domain import transitions
from service.domain.failure import Failure
from service.domain.generation import Copying, Generation, StoredVideo
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
from service.domain.status import PUBLIC, Status
from service.domain.transitions import after_result, after_submit, cancel, erase
from service.errors import NotCancellable
from tests.support import factories
from tests.support.factories import NOW

LATER: Final = NOW + timedelta(minutes=2)
REJECTED: Final = Rejected(factories.failure())
STORED: Final = StoredVideo("ten_1/gen_1.mp4", 7, "ab")
RATES: Final = Rates({"720p": Decimal("0.014")})
S: Final = Status


def failed(error: Failure, cost: int = 0) -> dict[str, Any]:
    return {"status": S.FAILED, "error": error, "actual_cost": cost, "finished_at": LATER}


LINE: Final = factories.log_line()
VIDEO: Final = factories.output().video
ESTIMATE: Final = factories.generation().estimated_cost
SUBMITTED: Final = {"status": S.SUBMITTED, "request_id": "request-1"}
ADOPTED: Final = {**SUBMITTED, "confirmed_at": LATER}
REQUEUED: Final = {"status": S.QUEUED, "submitted_at": None, "submit_refusals": 1}
CANCELED: Final = {"status": S.CANCELED, "actual_cost": 0, "finished_at": LATER, "cancel_requested_at": LATER}
SUCCEEDED: Final = {"status": S.SUCCEEDED, "actual_cost": 1_512_000, "finished_at": LATER, "copying": None}
WITHOUT_COPY: Final = {**SUCCEEDED, "output": factories.output()}
#: What the result of a job with 100 units and a log line sets.
BILLED: Final = {"billable_units": Decimal(100), "logs": (LINE,)}
DONE: Final = {**BILLED, "status": S.SUCCEEDED, "output": factories.output(), "finished_at": LATER}
COPYING: Final = {
    **BILLED,
    "status": S.COPYING,
    "copying": Copying(factories.output(), 1_400_000),
    "fal_ended_at": LATER,
}
ERASED: Final = {
    "erased": True,
    "input": {name: factories.generation().input[name] for name in ("resolution", "duration")},
    "end_user_id": None,
    "cancel_requested_at": LATER,
}

Changes = dict[Status, dict[str, Any]]


def upstream(changes: dict[str, Any]) -> Changes:
    return dict.fromkeys((S.SUBMITTED, S.IN_PROGRESS), changes)


def result_of(
    result: Succeeded | Failed | Canceled, *, copies_video: bool = False
) -> Callable[[Generation], Generation | None]:
    return lambda g: after_result(g, result, (LINE,), LATER, rates=RATES, copies_video=copies_video)


#: From each status that the function changes, the fields after it. All other fields stay, and the status is counted.
CASES: dict[str, tuple[Callable[[Generation], Generation | None], Changes]] = {
    "fail_preflight": (
        lambda g: transitions.fail_preflight(g, factories.failure(), LATER),
        {S.QUEUED: failed(factories.failure())},
    ),
    "begin_submit": (
        lambda g: transitions.begin_submit(g, LATER),
        {S.QUEUED: {"status": S.SUBMITTING, "submitted_at": LATER}},
    ),
    "after_submit_accepted": (
        lambda g: after_submit(g, Accepted("request-1"), LATER),
        {S.SUBMITTING: SUBMITTED, S.UNCONFIRMED: SUBMITTED},
    ),
    "after_submit_not_submitted": (
        lambda g: after_submit(g, NotSubmitted("ConnectError"), LATER),
        {S.SUBMITTING: REQUEUED, S.UNCONFIRMED: failed(transitions.NOT_SUBMITTED)},
    ),
    "after_submit_locked": (
        lambda g: after_submit(g, Locked("fal answered 403"), LATER),
        {S.SUBMITTING: REQUEUED, S.UNCONFIRMED: failed(transitions.NOT_SUBMITTED)},
    ),
    "after_submit_rejected": (
        lambda g: after_submit(g, REJECTED, LATER),
        dict.fromkeys((S.SUBMITTING, S.UNCONFIRMED), failed(REJECTED.failure)),
    ),
    "after_submit_unknown": (
        lambda g: after_submit(g, Unknown("ReadTimeout"), LATER),
        {S.SUBMITTING: {"status": S.UNCONFIRMED}},
    ),
    "after_not_sent": (
        lambda g: transitions.after_not_sent(g, LATER),
        {S.SUBMITTING: REQUEUED, S.UNCONFIRMED: failed(transitions.NOT_SUBMITTED)},
    ),
    "after_refusals": (
        lambda g: transitions.after_refusals(g, "fal answered 500", LATER),
        {
            S.SUBMITTING: failed(
                Failure(
                    "upstream_unavailable",
                    "The upstream refused the request each time, and accepted others meanwhile. fal answered 500",
                    retryable=True,
                )
            ),
            S.UNCONFIRMED: failed(transitions.NOT_SUBMITTED),
        },
    ),
    "after_callback": (
        lambda g: transitions.after_callback(g, "request-1", LATER),
        {
            S.QUEUED: {**SUBMITTED, "submitted_at": LATER, "status_changes": 2},
            S.SUBMITTING: SUBMITTED,
            S.UNCONFIRMED: ADOPTED,
        },
    ),
    "adopt": (lambda g: transitions.adopt(g, "request-1", LATER), {S.UNCONFIRMED: ADOPTED}),
    "dismiss": (lambda g: transitions.dismiss(g, LATER), {S.UNCONFIRMED: failed(transitions.NOT_SUBMITTED)}),
    "after_status_in_queue": (
        lambda g: transitions.after_status(g, InQueue(3, (LINE,)), LATER),
        upstream({"upstream_position": 3, "logs": (LINE,)}),
    ),
    "after_status_running": (
        lambda g: transitions.after_status(g, Running((LINE,)), LATER),
        {
            S.SUBMITTED: {"status": S.IN_PROGRESS, "started_at": LATER, "logs": (LINE,)},
            S.IN_PROGRESS: {"logs": (LINE,)},
        },
    ),
    "after_status_missing": (lambda g: transitions.after_status(g, Missing(), LATER), upstream({})),
    "after_poll_error": (
        lambda g: transitions.after_poll_error(g, LATER),
        upstream({"poll_failures": 1, "poll_failing_since": LATER}),
    ),
    "after_timeout": (
        lambda g: transitions.after_timeout(g, LATER),
        upstream(failed(transitions.TIMED_OUT, ESTIMATE)),
    ),
    "after_result_succeeded": (
        result_of(Succeeded(factories.output(), Decimal(100))),
        {
            S.SUBMITTED: {**DONE, "actual_cost": 1_400_000, "started_at": LATER},
            S.IN_PROGRESS: {**DONE, "actual_cost": 1_400_000},
        },
    ),
    "after_result_succeeded_copy_follows": (
        result_of(Succeeded(factories.output(), Decimal(100)), copies_video=True),
        {S.SUBMITTED: {**COPYING, "started_at": LATER}, S.IN_PROGRESS: COPYING},
    ),
    "after_result_failed": (
        result_of(Failed(factories.failure(), Decimal(100)), copies_video=True),
        upstream({**BILLED, **failed(factories.failure(), 1_400_000)}),
    ),
    "after_result_canceled": (
        result_of(Canceled(Decimal(100)), copies_video=True),
        upstream({**BILLED, **CANCELED, "actual_cost": 1_400_000}),
    ),
    "after_result_canceled_by_the_deadline": (
        lambda g: result_of(Canceled(Decimal(100)))(replace(g, cancel_sent_at=NOW)),
        upstream({**BILLED, **failed(transitions.TIMED_OUT, 1_400_000), "cancel_sent_at": NOW}),
    ),
    "after_copy": (
        lambda g: transitions.after_copy(g, STORED, url="https://x.example/v", content_type="video/mp4", now=LATER),
        {
            S.COPYING: {
                **SUCCEEDED,
                "stored_video": STORED,
                "output": factories.output(
                    video=replace(VIDEO, url="https://x.example/v", file_size=7, source=VIDEO.url)
                ),
            }
        },
    ),
    "after_copy_failed": (
        transitions.after_copy_failed,
        {S.COPYING: {"copying": Copying(factories.output(), 1_512_000, failed_attempts=1)}},
    ),
    "after_copy_abandoned": (lambda g: transitions.after_copy_abandoned(g, LATER), {S.COPYING: WITHOUT_COPY}),
    "after_deadline": (
        lambda g: transitions.after_deadline(g, LATER),
        {
            S.QUEUED: failed(transitions.EXPIRED),
            S.SUBMITTING: {"status": S.UNCONFIRMED},
            S.UNCONFIRMED: failed(transitions.UNCONFIRMED, ESTIMATE),
            S.COPYING: WITHOUT_COPY,
        },
    ),
    "after_unbilled": (
        lambda g: transitions.after_unbilled(g, LATER),
        {S.UNCONFIRMED: failed(transitions.UNBILLED)},
    ),
    "request_cancel": (
        lambda g: transitions.request_cancel(g, LATER),
        {s: {"cancel_requested_at": LATER} for s in S if not factories.in_status(s).is_terminal},
    ),
    "after_cancel_call_accepted": (
        lambda g: transitions.after_cancel_call(g, LATER, accepted=True),
        upstream({"cancel_sent_at": LATER}),
    ),
    "after_cancel_call_refused": (
        lambda g: transitions.after_cancel_call(g, LATER, accepted=False),
        upstream({"cancel_failures": 1}),
    ),
    "erase": (
        lambda g: erase(g, LATER),
        {
            S.QUEUED: {**ERASED, **CANCELED},
            S.COPYING: {**ERASED, **SUCCEEDED},
            **dict.fromkeys((S.SUBMITTING, S.UNCONFIRMED, S.SUBMITTED, S.IN_PROGRESS), ERASED),
        },
    ),
}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("name", CASES)
def test_transition_from_each_status(name: str, status: Status) -> None:
    transition, expected = CASES[name]
    before = factories.in_status(status)

    after = transition(before)

    if status not in expected:
        assert after is None
    else:
        changes = expected[status]
        counted = PUBLIC[changes.get("status", status)] is not PUBLIC[status]
        assert after == replace(before, **{"status_changes": before.status_changes + counted, **changes})


# --- submit -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "slot"),
    [
        (Accepted("request-1"), True),
        (NotSubmitted("ConnectError"), False),
        (Locked("fal answered 403"), False),
        (REJECTED, False),
        (Unknown("ReadTimeout"), True),
    ],
)
def test_after_submit_slot_is_held_while_fal_may_have_it(outcome: SubmitOutcome, slot: bool) -> None:
    after = after_submit(factories.in_status(S.SUBMITTING), outcome, NOW)

    assert after is not None
    assert after.holds_slot is slot


@pytest.mark.parametrize("outcome", [NotSubmitted("ConnectError"), Locked("fal answered 403")])
def test_after_submit_not_sent_a_requested_cancel_is_done(outcome: SubmitOutcome) -> None:
    requested = factories.in_status(S.SUBMITTING).cancel_requested(NOW)

    after = after_submit(requested, outcome, NOW)

    assert after is not None
    assert (after.status, after.actual_cost, after.finished_at) == (S.CANCELED, 0, NOW)


def test_after_submit_late_acceptance_sets_the_request_id() -> None:
    after = after_submit(factories.in_status(S.UNCONFIRMED), Accepted("request-1"), NOW)

    assert after is not None
    assert after.request_id == "request-1"


@pytest.mark.parametrize("outcome", [NotSubmitted("ConnectError"), Locked("fal answered 403"), REJECTED])
def test_after_submit_late_refusal_costs_nothing(outcome: SubmitOutcome) -> None:
    after = after_submit(factories.in_status(S.UNCONFIRMED), outcome, NOW)

    assert after is not None
    assert (after.status, after.actual_cost) == (S.FAILED, 0), "never queued again"


def test_after_refusals_names_the_reason_and_costs_nothing() -> None:
    after = transitions.after_refusals(factories.in_status(S.SUBMITTING), "fal answered 500", NOW)

    assert after is not None
    assert after.error is not None
    assert (after.error.code, after.error.retryable, after.actual_cost) == ("upstream_unavailable", True, 0)
    assert after.error.message.endswith("fal answered 500")


def test_after_refusals_a_requested_cancel_is_done() -> None:
    after = transitions.after_refusals(factories.in_status(S.SUBMITTING).cancel_requested(NOW), "x", NOW)

    assert after is not None
    assert after.status is S.CANCELED


# --- poll -------------------------------------------------------------------------------------------------------------


def test_after_status_without_news_returns_the_same_object() -> None:
    g = factories.in_status(S.IN_PROGRESS)

    assert transitions.after_status(g, Running(), LATER) is g


def test_after_status_missing_leaves_the_queue_position() -> None:
    g = factories.in_status(S.SUBMITTED).polled(position=3, logs=())

    assert transitions.after_status(g, Missing(), LATER) is g


def test_after_timeout_costs_the_estimate() -> None:
    after = transitions.after_timeout(factories.in_status(S.SUBMITTED), LATER)

    assert after is not None
    assert (after.error, after.actual_cost) == (transitions.TIMED_OUT, after.estimated_cost)


@pytest.mark.parametrize(
    ("result", "cost"),
    [
        (Succeeded(factories.output(), Decimal(100)), 1_400_000),
        (Succeeded(factories.output(), None), 4_576_975),
        (Failed(factories.failure(), None), 0),
        (Failed(factories.failure(), Decimal(100)), 1_400_000),
        (Failed(factories.failure(), None, presumed_billed=True), 4_576_975),
        (Canceled(None), 0),
        (Canceled(Decimal(100)), 1_400_000),
    ],
)
def test_after_result_cost_of_billed_units(result: Succeeded | Failed | Canceled, cost: int) -> None:
    g = factories.in_status(S.IN_PROGRESS)

    after = after_result(g, result, (factories.log_line(),), LATER, rates=RATES, copies_video=False)

    assert after is not None
    assert (after.actual_cost, after.billable_units) == (cost, result.billable_units)
    assert after.logs == (factories.log_line(),)


def test_after_result_success_becomes_a_copy_first() -> None:
    g = factories.in_status(S.IN_PROGRESS)

    after = after_result(g, Succeeded(factories.output(), Decimal(100)), (), LATER, rates=RATES, copies_video=True)

    assert after is not None
    assert after.status is S.COPYING
    assert after.copying is not None
    assert (after.copying.output, after.copying.cost, after.output) == (factories.output(), 1_400_000, None)
    assert not after.holds_slot


@pytest.mark.parametrize(("requested", "status"), [(True, S.CANCELED), (False, S.FAILED)])
def test_after_result_canceled_by_the_deadline_is_a_timeout(requested: bool, status: Status) -> None:
    g = factories.in_status(S.IN_PROGRESS).cancel_accepted(NOW)
    g = g.cancel_requested(NOW) if requested else g

    after = after_result(g, Canceled(None), (), LATER, rates=RATES, copies_video=False)

    assert after is not None
    assert (after.status, after.actual_cost) == (status, 0)
    assert after.error == (None if requested else transitions.TIMED_OUT)


# --- copy of the video ------------------------------------------------------------------------------------------------


def test_after_copy_video_is_the_stored_one() -> None:
    after = transitions.after_copy(
        factories.in_status(S.COPYING), STORED, url="https://x.example/v", content_type="video/mp4", now=LATER
    )

    assert after is not None
    assert after.output is not None
    video = after.output.video
    assert (video.url, video.source, video.file_size) == ("https://x.example/v", factories.output().video.url, 7)
    assert (after.stored_video, after.copying, after.actual_cost) == (STORED, None, 1_512_000)


def test_after_copy_content_type_is_of_fal_where_it_names_one() -> None:
    named, unnamed = factories.output(), factories.output(video=replace(factories.output().video, content_type=None))

    for output, expected in ((named, "video/mp4"), (unnamed, "video/webm")):
        g = factories.in_status(S.IN_PROGRESS).copying_started(output, 7, NOW)
        after = transitions.after_copy(g, STORED, url="https://x.example/v", content_type="video/webm", now=LATER)
        assert after is not None
        assert after.output is not None
        assert after.output.video.content_type == expected


def test_after_copy_failed_counts_the_failure() -> None:
    after = transitions.after_copy_failed(factories.in_status(S.COPYING))

    assert after is not None
    assert after.copying is not None
    assert after.copying.failed_attempts == 1


def test_after_copy_abandoned_output_is_of_fal() -> None:
    after = transitions.after_copy_abandoned(factories.in_status(S.COPYING), LATER)

    assert after is not None
    assert (after.output, after.stored_video) == (factories.output(), None)


# --- deadlines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "failure", "billed"),
    [(S.QUEUED, transitions.EXPIRED, False), (S.UNCONFIRMED, transitions.UNCONFIRMED, True)],
)
def test_after_deadline_costs_the_estimate_if_fal_may_have_it(status: Status, failure: Failure, billed: bool) -> None:
    after = transitions.after_deadline(factories.in_status(status), LATER)

    assert after is not None
    assert (after.error, after.actual_cost) == (failure, after.estimated_cost if billed else 0)


def test_after_unbilled_costs_nothing() -> None:
    after = transitions.after_unbilled(factories.in_status(S.UNCONFIRMED), LATER)

    assert after is not None
    assert (after.error, after.actual_cost) == (transitions.UNBILLED, 0)


# --- cancel and erasure -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (S.QUEUED, S.CANCELED),
        (S.SUBMITTING, S.SUBMITTING),
        (S.UNCONFIRMED, S.UNCONFIRMED),
        (S.SUBMITTED, S.SUBMITTED),
        (S.IN_PROGRESS, S.IN_PROGRESS),
        (S.COPYING, S.COPYING),
    ],
)
def test_cancel_ends_only_a_queued_generation(before: Status, after: Status) -> None:
    canceled = cancel(factories.in_status(before), LATER)

    assert canceled is not None
    assert (canceled.status, canceled.cancel_requested_at) == (after, LATER)
    ended = canceled.is_terminal
    assert (canceled.actual_cost, canceled.finished_at) == ((0, LATER) if ended else (None, None))


@pytest.mark.parametrize("status", [S.SUCCEEDED, S.FAILED, S.CANCELED])
def test_cancel_of_an_ended_generation_is_refused(status: Status) -> None:
    with pytest.raises(NotCancellable, match=status):
        cancel(factories.in_status(status), LATER)


def test_cancel_again_changes_nothing() -> None:
    assert cancel(factories.in_status(S.SUBMITTED).cancel_requested(NOW), LATER) is None


@pytest.mark.parametrize(("accepted", "pending"), [(True, False), (False, True)])
def test_after_cancel_call_refused_the_cancel_stays_pending(accepted: bool, pending: bool) -> None:
    g = factories.in_status(S.SUBMITTED).cancel_requested(NOW)

    after = transitions.after_cancel_call(g, LATER, accepted=accepted)

    assert after is not None
    assert (after.cancel_pending, after.cancel_failures) == (pending, int(not accepted))


@pytest.mark.parametrize("status", [status for status in Status if not factories.in_status(status).is_terminal])
def test_erase_removes_what_the_end_user_sent(status: Status) -> None:
    g = factories.in_status(status, metadata={"order": "7"}, webhook_url="https://x.example/hook")

    after = erase(g, LATER)

    assert after is not None
    assert (after.erased, after.end_user_id, after.metadata, after.webhook_url) == (True, None, {}, None)
    assert factories.PROMPT not in str(after.input)


def test_erase_of_a_generation_that_is_copied_has_no_video() -> None:
    after = erase(factories.in_status(S.COPYING), LATER)

    assert after is not None
    assert (after.output, after.copying, after.actual_cost) == (None, None, 1_512_000)


@pytest.mark.parametrize("copies_video", [True, False])
def test_after_result_of_a_draft_has_the_cost_of_a_direct_create(copies_video: bool) -> None:
    rates = Rates({"720p": Decimal("0.014"), "1080p": Decimal("0.014")})
    g = factories.in_status(S.IN_PROGRESS, input={"resolution": "720p", "duration": "5", "draft": True})
    ratio = Decimal(rates.estimate("1080p", "5")) / rates.estimate("720p", "5")

    def result_of(g: Generation) -> Generation | None:
        succeeded = Succeeded(factories.output(), billable_units=Decimal(100))
        return after_result(g, succeeded, (), LATER, rates=rates, copies_video=copies_video)

    of_draft, other = result_of(g), result_of(replace(g, input={**g.input, "draft": False}))

    assert (of_draft and of_draft.direct_cost) == round(1_400_000 * ratio)
    assert (other and other.direct_cost) is None
