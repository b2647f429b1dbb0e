"""Every decision about what a generation becomes, from every status."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Final

import pytest

from service.domain import transitions
from service.domain.failure import Failure
from service.domain.generation import Generation, StoredVideo
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
from service.domain.status import Status
from service.domain.transitions import after_result, after_submit, cancel, erase
from service.errors import NotCancellable
from tests.support import factories
from tests.support.factories import NOW

LATER: Final = NOW + timedelta(minutes=2)
REJECTED: Final = Rejected(factories.failure())
STORED: Final = StoredVideo("ten_1/gen_1.mp4", 7, "ab")
RATES: Final = Rates({"720p": Decimal("0.014")})
S: Final = Status


#: From each status that the function changes, the status after it.
CASES: dict[str, tuple[Callable[[Generation], Generation | None], dict[Status, Status]]] = {
    "fail_preflight": (
        lambda g: transitions.fail_preflight(g, factories.failure(), LATER),
        {S.QUEUED: S.FAILED},
    ),
    "begin_submit": (lambda g: transitions.begin_submit(g, LATER), {S.QUEUED: S.SUBMITTING}),
    "after_submit_accepted": (
        lambda g: after_submit(g, Accepted("request-1"), LATER),
        {S.SUBMITTING: S.SUBMITTED, S.UNCONFIRMED: S.SUBMITTED},
    ),
    "after_submit_not_submitted": (
        lambda g: after_submit(g, NotSubmitted("ConnectError"), LATER),
        {S.SUBMITTING: S.QUEUED, S.UNCONFIRMED: S.FAILED},
    ),
    "after_submit_locked": (
        lambda g: after_submit(g, Locked("fal answered 403"), LATER),
        {S.SUBMITTING: S.QUEUED, S.UNCONFIRMED: S.FAILED},
    ),
    "after_submit_rejected": (
        lambda g: after_submit(g, REJECTED, LATER),
        {S.SUBMITTING: S.FAILED, S.UNCONFIRMED: S.FAILED},
    ),
    "after_submit_unknown": (
        lambda g: after_submit(g, Unknown("ReadTimeout"), LATER),
        {S.SUBMITTING: S.UNCONFIRMED},
    ),
    "after_not_sent": (
        lambda g: transitions.after_not_sent(g, LATER),
        {S.SUBMITTING: S.QUEUED, S.UNCONFIRMED: S.FAILED},
    ),
    "after_refusals": (
        lambda g: transitions.after_refusals(g, "fal answered 500", LATER),
        {S.SUBMITTING: S.FAILED, S.UNCONFIRMED: S.FAILED},
    ),
    "after_callback": (
        lambda g: transitions.after_callback(g, "request-1", LATER),
        {S.QUEUED: S.SUBMITTED, S.SUBMITTING: S.SUBMITTED, S.UNCONFIRMED: S.SUBMITTED},
    ),
    "adopt": (lambda g: transitions.adopt(g, "request-1", LATER), {S.UNCONFIRMED: S.SUBMITTED}),
    "dismiss": (lambda g: transitions.dismiss(g, LATER), {S.UNCONFIRMED: S.FAILED}),
    "after_status_in_queue": (
        lambda g: transitions.after_status(g, InQueue(3), LATER),
        {S.SUBMITTED: S.SUBMITTED, S.IN_PROGRESS: S.IN_PROGRESS},
    ),
    "after_status_running": (
        lambda g: transitions.after_status(g, Running(), LATER),
        {S.SUBMITTED: S.IN_PROGRESS, S.IN_PROGRESS: S.IN_PROGRESS},
    ),
    "after_status_missing": (
        lambda g: transitions.after_status(g, Missing(), LATER),
        {S.SUBMITTED: S.SUBMITTED, S.IN_PROGRESS: S.IN_PROGRESS},
    ),
    "after_poll_error": (
        lambda g: transitions.after_poll_error(g, LATER),
        {S.SUBMITTED: S.SUBMITTED, S.IN_PROGRESS: S.IN_PROGRESS},
    ),
    "after_timeout": (
        lambda g: transitions.after_timeout(g, LATER),
        {S.SUBMITTED: S.FAILED, S.IN_PROGRESS: S.FAILED},
    ),
    "after_result_succeeded": (
        lambda g: after_result(g, Succeeded(factories.output(), None), (), LATER, rates=RATES, copies_video=False),
        {S.SUBMITTED: S.SUCCEEDED, S.IN_PROGRESS: S.SUCCEEDED},
    ),
    "after_result_failed": (
        lambda g: after_result(g, Failed(factories.failure(), None), (), LATER, rates=RATES, copies_video=True),
        {S.SUBMITTED: S.FAILED, S.IN_PROGRESS: S.FAILED},
    ),
    "after_result_canceled": (
        lambda g: after_result(g, Canceled(None), (), LATER, rates=RATES, copies_video=True),
        {S.SUBMITTED: S.CANCELED, S.IN_PROGRESS: S.CANCELED},
    ),
    "after_copy": (
        lambda g: transitions.after_copy(g, STORED, url="https://x.example/v", content_type="video/mp4", now=LATER),
        {S.COPYING: S.SUCCEEDED},
    ),
    "after_copy_failed": (transitions.after_copy_failed, {S.COPYING: S.COPYING}),
    "after_copy_abandoned": (lambda g: transitions.after_copy_abandoned(g, LATER), {S.COPYING: S.SUCCEEDED}),
    "after_deadline": (
        lambda g: transitions.after_deadline(g, LATER),
        {S.QUEUED: S.FAILED, S.SUBMITTING: S.UNCONFIRMED, S.UNCONFIRMED: S.FAILED, S.COPYING: S.SUCCEEDED},
    ),
    "after_unbilled": (lambda g: transitions.after_unbilled(g, LATER), {S.UNCONFIRMED: S.FAILED}),
    "request_cancel": (
        lambda g: transitions.request_cancel(g, LATER),
        {s: s for s in (S.QUEUED, S.SUBMITTING, S.UNCONFIRMED, S.SUBMITTED, S.IN_PROGRESS, S.COPYING)},
    ),
    "after_cancel_call": (
        lambda g: transitions.after_cancel_call(g, LATER, accepted=True),
        {S.SUBMITTED: S.SUBMITTED, S.IN_PROGRESS: S.IN_PROGRESS},
    ),
    "erase": (
        lambda g: erase(g, LATER),
        {
            S.QUEUED: S.CANCELED,
            S.COPYING: S.SUCCEEDED,
            **{s: s for s in (S.SUBMITTING, S.UNCONFIRMED, S.SUBMITTED, S.IN_PROGRESS)},
        },
    ),
}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("name", CASES)
def test_transition_from_each_status(name: str, status: Status) -> None:
    transition, expected = CASES[name]

    after = transition(factories.in_status(status))

    assert (None if after is None else after.status) == expected.get(status)


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
    assert (after.status, after.actual_cost) == (S.CANCELED, 0)


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
