"""The record of a generation: its transitions, its results, the changes of polls and cancels."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_args

import pytest

from service.domain.failure import ErrorCode, Failure
from service.domain.generation import LOG_LINES, Copying, Generation, StoredVideo, idempotency_digest
from service.domain.status import HOLDS_SLOT, TERMINAL, TRANSITIONS, UPSTREAM, IllegalTransition, Status
from tests.support import factories
from tests.support.factories import NOW

LATER = NOW + timedelta(minutes=2)

#: The method that leads to each status; the table decides whether it is allowed.
METHODS: dict[Status, Callable[[Generation], Generation]] = {
    Status.QUEUED: lambda g: g.requeued(),
    Status.SUBMITTING: lambda g: g.submitting(LATER),
    Status.UNCONFIRMED: lambda g: g.unconfirmed(),
    Status.SUBMITTED: lambda g: g.submitted("request-1"),
    Status.IN_PROGRESS: lambda g: g.started(LATER),
    Status.COPYING: lambda g: g.copying_started(factories.output(), 7, LATER),
    Status.SUCCEEDED: lambda g: g.succeeded(factories.output(), 7, LATER),
    Status.FAILED: lambda g: g.failed(factories.failure(), 7, LATER),
    Status.CANCELED: lambda g: g.canceled(7, LATER),
}
PAIRS = [(before, after) for before in Status for after in Status]
LEGAL = [(before, after) for before, after in PAIRS if after in TRANSITIONS[before]]
ILLEGAL = [(before, after) for before, after in PAIRS if after not in TRANSITIONS[before]]


@pytest.mark.parametrize(("before", "after"), LEGAL)
def test_legal_transition_is_made_by_its_method(before: Status, after: Status) -> None:
    g = factories.in_status(before)

    after_move = METHODS[after](g)

    assert after_move.status is after
    assert g.status is before, "methods return a new object"
    assert (after_move.id, after_move.version, after_move.created_at) == (g.id, g.version, g.created_at)


@pytest.mark.parametrize(("before", "after"), ILLEGAL)
def test_illegal_transition_is_refused(before: Status, after: Status) -> None:
    g = factories.in_status(before)

    with pytest.raises(IllegalTransition, match=f"{g.id}: {before} -> {after}"):
        METHODS[after](g)


def test_transitions_cover_every_status() -> None:
    assert set(TRANSITIONS) == set(Status) == set(METHODS)


def test_transitions_keep_their_promises() -> None:
    """Check the table by rules that are written by hand: other tests read the table itself."""
    assert {Status.SUCCEEDED, Status.FAILED, Status.CANCELED} == TERMINAL
    assert Status.QUEUED in TRANSITIONS[Status.SUBMITTING], "proved not sent: back to the queue"
    assert Status.QUEUED not in TRANSITIONS[Status.UNCONFIRMED], "may have been sent: never sent again"
    assert all(Status.QUEUED not in TRANSITIONS[status] for status in UPSTREAM)
    assert all(Status.SUBMITTING not in exits for status, exits in TRANSITIONS.items() if status is not Status.QUEUED)
    assert all(TRANSITIONS[status] & TERMINAL for status in Status if status not in TERMINAL), (
        "every status can reach an end"
    )


def test_terminal_status_has_no_exit() -> None:
    assert {status for status in Status if factories.in_status(status).is_terminal} == {
        status for status, exits in TRANSITIONS.items() if not exits
    }


def test_slot_is_held_while_fal_may_work() -> None:
    assert set(Status) - TERMINAL - {Status.QUEUED, Status.COPYING} == HOLDS_SLOT
    assert {status for status in Status if factories.in_status(status).holds_slot} == HOLDS_SLOT
    assert UPSTREAM < HOLDS_SLOT


def test_submitting_records_the_time() -> None:
    assert factories.generation().submitting(LATER).submitted_at == LATER


WAITING = factories.in_status(Status.SUBMITTED, upstream_position=3, slot_released=True)
UNITS = Decimal(3)
#: A generation, a change of it, and all fields that the change sets.
CHANGES: list[tuple[Generation, Callable[[Generation], Generation], dict[str, Any]]] = [
    (
        factories.in_status(Status.SUBMITTING, slot_released=True),
        lambda g: g.submitted("request-1"),
        {"status": Status.SUBMITTED, "status_changes": 2, "request_id": "request-1", "slot_released": False},
    ),
    (
        factories.in_status(Status.UNCONFIRMED, slot_released=True),
        lambda g: g.adopted("request-1", LATER),
        {
            "status": Status.SUBMITTED,
            "status_changes": 3,
            "request_id": "request-1",
            "confirmed_at": LATER,
            "slot_released": False,
        },
    ),
    (
        WAITING,
        lambda g: g.started(LATER),
        {"status": Status.IN_PROGRESS, "status_changes": 3, "started_at": LATER, "upstream_position": None},
    ),
    (
        WAITING,
        lambda g: g.copying_started(factories.output(), 7, LATER, units=UNITS),
        {
            "status": Status.COPYING,
            "status_changes": 3,
            "copying": Copying(factories.output(), 7),
            "billable_units": UNITS,
            "fal_ended_at": LATER,
            "started_at": LATER,
            "upstream_position": None,
        },
    ),
    (
        factories.in_status(Status.IN_PROGRESS),
        lambda g: g.copying_started(factories.output(), 7, LATER),
        {"status": Status.COPYING, "copying": Copying(factories.output(), 7), "fal_ended_at": LATER},
    ),
    (
        factories.in_status(Status.COPYING),
        lambda g: g.succeeded(factories.output(seed=1), 7, LATER, units=UNITS),
        {
            "status": Status.SUCCEEDED,
            "status_changes": 4,
            "output": factories.output(seed=1),
            "copying": None,
            "actual_cost": 7,
            "billable_units": UNITS,
            "finished_at": LATER,
        },
    ),
    (
        WAITING,
        lambda g: g.succeeded(factories.output(), 7, LATER),
        {
            "status": Status.SUCCEEDED,
            "status_changes": 3,
            "output": factories.output(),
            "actual_cost": 7,
            "finished_at": LATER,
            "started_at": LATER,
        },
    ),
    (
        factories.in_status(Status.IN_PROGRESS, erased=True),
        lambda g: g.succeeded(factories.output(), 7, LATER),
        {"status": Status.SUCCEEDED, "status_changes": 4, "actual_cost": 7, "finished_at": LATER},
    ),
    (
        factories.in_status(Status.COPYING),
        lambda g: g.copied(LATER, None, StoredVideo("a/b.mp4", 5, "ff")),
        {
            "status": Status.SUCCEEDED,
            "status_changes": 4,
            "output": factories.output(),
            "copying": None,
            "actual_cost": 1_512_000,
            "finished_at": LATER,
            "stored_video": StoredVideo("a/b.mp4", 5, "ff"),
        },
    ),
    (
        WAITING,
        lambda g: g.failed(factories.failure(), 7, LATER, units=UNITS),
        {
            "status": Status.FAILED,
            "status_changes": 3,
            "error": factories.failure(),
            "actual_cost": 7,
            "billable_units": UNITS,
            "finished_at": LATER,
        },
    ),
    (
        WAITING,
        lambda g: g.canceled(7, LATER, units=UNITS),
        {
            "status": Status.CANCELED,
            "status_changes": 3,
            "actual_cost": 7,
            "billable_units": UNITS,
            "finished_at": LATER,
            "cancel_requested_at": LATER,
        },
    ),
    (WAITING, lambda g: g.cancel_requested(LATER), {"cancel_requested_at": LATER}),
    (WAITING, lambda g: g.cancel_accepted(LATER), {"cancel_sent_at": LATER}),
    (replace(WAITING, cancel_failures=2), lambda g: g.cancel_refused(), {"cancel_failures": 3}),
    (
        replace(WAITING, poll_failures=2, poll_failing_since=NOW),
        lambda g: g.poll_failed(LATER),
        {"poll_failures": 3},
    ),
    (WAITING, lambda g: g.poll_failed(LATER), {"poll_failures": 1, "poll_failing_since": LATER}),
]


@pytest.mark.parametrize(("before", "change", "fields"), CHANGES)
def test_change_sets_its_fields_and_no_other(
    before: Generation, change: Callable[[Generation], Generation], fields: dict[str, Any]
) -> None:
    assert change(before) == replace(before, **fields)


def test_requeued_counts_the_refusal() -> None:
    g = factories.in_status(Status.SUBMITTING, submit_refusals=2).requeued()

    assert (g.status, g.submit_refusals, g.submitted_at) == (Status.QUEUED, 3, None)


def test_started_has_no_queue_position() -> None:
    g = factories.in_status(Status.SUBMITTED).polled(position=3, logs=())

    assert g.upstream_position == 3
    assert g.started(LATER).upstream_position is None


def test_succeeded_has_output_cost_and_end() -> None:
    g = factories.in_status(Status.SUBMITTED).succeeded(factories.output(seed=9), 1_512_000, LATER)

    assert g.output == factories.output(seed=9)
    assert (g.actual_cost, g.finished_at, g.error) == (1_512_000, LATER, None)
    assert g.started_at == LATER, "never seen in progress: it started at the latest when it ended"


def test_succeeded_has_the_observed_start() -> None:
    g = factories.in_status(Status.IN_PROGRESS)

    assert g.succeeded(factories.output(), 1, LATER).started_at == g.started_at


def test_failed_has_its_error() -> None:
    g = factories.generation().failed(factories.failure(message="no"), 0, LATER)

    assert g.error == factories.failure(message="no")
    assert (g.actual_cost, g.finished_at, g.output) == (0, LATER, None)


def test_cancel_has_the_time_of_the_first_request() -> None:
    requested = factories.in_status(Status.IN_PROGRESS).cancel_requested(NOW)

    assert requested.cancel_requested(LATER).cancel_requested_at == NOW
    assert requested.canceled(0, LATER).cancel_requested_at == NOW
    assert factories.generation().canceled(0, LATER).cancel_requested_at == LATER
    assert requested.cancel_accepted(LATER).cancel_sent_at == LATER


def test_poll_without_news_changes_nothing() -> None:
    g = factories.in_status(Status.SUBMITTED).polled(position=2, logs=(factories.log_line(),))

    assert g.polled(position=2, logs=(factories.log_line(),)) is g
    assert g.polled(position=2, logs=()) is g, "fal's log is a moving window: lines outside of it stay"


def test_poll_adds_each_log_line_once_in_order() -> None:
    one, two, three = (factories.log_line(f"step {n}") for n in (1, 2, 3))
    g = factories.in_status(Status.IN_PROGRESS).polled(position=None, logs=(one, two))

    assert g.polled(position=None, logs=(two, three)).logs == (one, two, three)


def test_poll_leaves_only_the_newest_log_lines() -> None:
    lines = tuple(factories.log_line(f"step {n}") for n in range(LOG_LINES + 5))
    g = factories.in_status(Status.IN_PROGRESS).polled(position=None, logs=lines)

    assert g.logs == lines[5:]


def test_poll_failures_are_counted_until_a_response() -> None:
    failing = factories.in_status(Status.SUBMITTED).poll_failed(NOW).poll_failed(NOW)

    assert failing.poll_failures == 2
    assert failing.status is Status.SUBMITTED, "an upstream error is no failure"
    assert failing.polled(position=failing.upstream_position, logs=()).poll_failures == 0


def test_repr_has_no_prompt_and_no_token() -> None:
    g = replace(factories.generation(), callback_token="do-not-show")

    assert factories.PROMPT not in repr(g)
    assert "do-not-show" not in repr(g)


def test_unconfirmed_without_slot_takes_one_when_confirmed() -> None:
    released = factories.in_status(Status.UNCONFIRMED).without_slot()
    assert not released.holds_slot
    assert released.submitted("request-1").holds_slot
    assert released.adopted("request-1", NOW).holds_slot


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.UNCONFIRMED])
def test_slot_release_needs_unconfirmed(status: Status) -> None:
    g = factories.in_status(status)

    with pytest.raises(IllegalTransition, match=f"{g.id}: {status} keeps its slot"):
        g.without_slot()


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.FAILED])
def test_revive_needs_a_given_up_generation(status: Status) -> None:
    g = factories.in_status(status)

    with pytest.raises(IllegalTransition, match=f"{g.id}: was not given up"):
        g.revived("request-1", NOW)


def test_revived_has_no_data_of_its_end() -> None:
    at_fal = factories.in_status(Status.SUBMITTED)
    given_up = at_fal.poll_failed(NOW).failed(factories.failure(code="upstream_timeout"), 5, NOW)
    revived = given_up.revived("request-1", LATER)
    assert (revived.status, revived.error, revived.actual_cost, revived.finished_at) == (
        Status.SUBMITTED,
        None,
        None,
        None,
    )
    assert (revived.poll_failures, revived.poll_failing_since, revived.confirmed_at) == (0, None, LATER)
    assert revived.status_changes == given_up.status_changes + 1


@pytest.mark.parametrize(("before", "moves"), [(Status.SUBMITTED, 1), (Status.IN_PROGRESS, 0)])
def test_status_changes_count_the_public_status(before: Status, moves: int) -> None:
    g = factories.in_status(before)

    copying = g.copying_started(factories.output(), 7, LATER)

    assert copying.status_changes == g.status_changes + moves
    assert copying.copied(LATER).status_changes == copying.status_changes + 1


def test_poll_without_a_new_position_clears_failures() -> None:
    failing = factories.in_status(Status.SUBMITTED).poll_failed(NOW).poll_failed(LATER)
    assert (failing.poll_failures, failing.poll_failing_since) == (2, NOW)

    answered = failing.polled(position=3, logs=())

    assert (answered.upstream_position, answered.poll_failures, answered.poll_failing_since) == (3, 0, None)


def test_poll_counts_dropped_log_lines() -> None:
    lines = tuple(factories.log_line(f"step {n}") for n in range(LOG_LINES + 2))
    g = factories.in_status(Status.IN_PROGRESS).polled(position=None, logs=lines[:LOG_LINES])
    assert (g.logs_dropped, g.logs_total) == (0, LOG_LINES)

    more = g.polled(position=None, logs=lines)

    assert (more.logs, more.logs_dropped, more.logs_total) == (lines[2:], 2, LOG_LINES + 2)


def test_poll_of_an_erased_generation_adds_no_log() -> None:
    erased = factories.in_status(Status.IN_PROGRESS).stripped(NOW)

    assert erased.polled(position=None, logs=(factories.log_line(),)) is erased


@pytest.mark.parametrize(
    ("failing", "missed", "outage"),
    [(None, 0, 0), (None, 5, 5), (None, -5, 0), (3, 0, 3), (3, 5, 5), (3, 1, 3), (-3, 0, 0), (-3, -5, 0)],
)
def test_poll_answered_moves_the_deadline_by_the_outage(failing: int | None, missed: int, outage: int) -> None:
    """Minutes. A clock that was set back gives no negative outage."""
    minute = timedelta(minutes=1)
    g = factories.in_status(Status.SUBMITTED, poll_outage=minute)
    g = g if failing is None else g.poll_failed(LATER - failing * minute)

    answered = g.poll_answered(LATER, missed=missed * minute)

    assert answered == replace(g, poll_outage=(1 + outage) * minute, poll_failing_since=None)
    assert (answered is g) is (failing is None and outage == 0)
    assert g.poll_answered(LATER).poll_outage == (1 + max(failing or 0, 0)) * minute


def test_adjusted_adds_to_the_cost_of_an_end() -> None:
    g = factories.in_status(Status.SUCCEEDED)

    assert g.adjusted(-500_000) == replace(g, actual_cost=1_012_000)


@pytest.mark.parametrize(
    "g", [factories.in_status(Status.COPYING), replace(factories.in_status(Status.FAILED), actual_cost=None)]
)
def test_adjusted_needs_a_settled_generation(g: Generation) -> None:
    with pytest.raises(IllegalTransition, match=f"{g.id}: is not settled"):
        g.adjusted(1)


def test_copy_failures_are_counted_while_copying() -> None:
    g = factories.in_status(Status.COPYING)
    ended = factories.in_status(Status.SUCCEEDED)

    failed = g.copy_failed().copy_failed()

    assert failed == replace(g, copying=Copying(factories.output(), 1_512_000, failed_attempts=2))
    assert ended.copy_failed() is ended
    with pytest.raises(IllegalTransition, match=f"{ended.id}: is not being copied"):
        ended.copied(LATER)


def test_copied_keeps_the_units_of_the_result() -> None:
    g = factories.in_status(Status.SUBMITTED).copying_started(factories.output(), 7, NOW, units=Decimal(3))

    assert (g.copied(LATER).billable_units, g.copied(LATER).actual_cost, g.fal_ended_at) == (Decimal(3), 7, NOW)
    assert g.copied(LATER, factories.output(seed=1)).output == factories.output(seed=1)


@pytest.mark.parametrize("status", [Status.SUBMITTED, Status.IN_PROGRESS])
def test_results_clear_the_queue_position(status: Status) -> None:
    g = replace(factories.in_status(status), upstream_position=3)

    assert g.copying_started(factories.output(), 7, NOW).upstream_position is None


def test_failure_of_an_erased_generation_has_no_message_of_fal() -> None:
    failure = factories.failure(detail=["prompt"], retryable=True)
    erased = factories.in_status(Status.SUBMITTED).stripped(NOW)

    assert erased.failed(failure, 7, LATER).error == Failure(failure.code, "Its end user was erased.")


def test_stripped_keeps_what_settles_the_cost() -> None:
    g = factories.in_status(
        Status.IN_PROGRESS, traceparent="00-a", webhook_url="https://x.example", metadata={"a": "1"}
    )
    g = g.polled(position=None, logs=(factories.log_line(), factories.log_line("step 2")))

    stripped = g.stripped(LATER)

    assert stripped == replace(
        g,
        erased=True,
        input={name: g.input[name] for name in ("resolution", "duration")},
        end_user_id=None,
        metadata={},
        webhook_url=None,
        traceparent=None,
        logs=(),
        logs_dropped=2,
        cancel_requested_at=LATER,
    )
    assert g.cancel_requested(NOW).stripped(LATER).cancel_requested_at == NOW
    assert replace(g, input={"duration": "5"}).stripped(LATER).input == {"duration": "5"}


def test_given_up_is_a_failure_without_a_result() -> None:
    def failed(code: ErrorCode) -> Generation:
        return factories.in_status(Status.SUBMITTED).failed(factories.failure(code=code), 0, NOW)

    given_up = [code for code in get_args(ErrorCode) if failed(code).is_given_up]

    assert sorted(given_up) == ["submission_unconfirmed", "upstream_timeout"]
    assert not factories.in_status(Status.CANCELED).is_given_up


def test_revived_is_as_submitted_again() -> None:
    at_fal = factories.in_status(Status.IN_PROGRESS).cancel_requested(NOW).cancel_accepted(NOW)
    at_fal = replace(at_fal.poll_failed(NOW), poll_outage=timedelta(minutes=1), slot_released=True)
    given_up = at_fal.failed(factories.failure(code="upstream_timeout"), 5, NOW, units=Decimal(1))

    assert given_up.revived("request-2", LATER) == replace(
        at_fal,
        status=Status.SUBMITTED,
        status_changes=given_up.status_changes + 1,
        request_id="request-2",
        confirmed_at=LATER,
        slot_released=False,
        started_at=None,
        cancel_sent_at=None,
        poll_failures=0,
        poll_failing_since=None,
        poll_outage=timedelta(),
    )


def test_idempotency_digest_has_a_fixed_value() -> None:
    """Computed with sha256sum. A change would create a generation twice."""
    assert idempotency_digest("order-7") == "df8cf80227ec3237922df0ecd88385c5"


@pytest.mark.parametrize(("completes", "shown"), [(None, "gen_1"), ("gen_0", "gen_0")])
def test_log_of_a_result_has_no_draft_id_of_fal(completes: str | None, shown: str) -> None:
    g = factories.in_status(Status.IN_PROGRESS, id="gen_1", completes=completes)
    g = g.polled(position=None, logs=(factories.log_line("draft: d-7"), factories.log_line("d-7 done")))
    output = replace(factories.output(), draft_id="d-7")

    for ended in (g.copying_started(output, 7, LATER), g.succeeded(output, 7, LATER)):
        assert [line.message for line in ended.logs] == [f"draft: {shown}", f"{shown} done"]


@pytest.mark.parametrize(("completes", "shown"), [("gen_0", "gen_0"), (None, "")])
def test_failure_has_no_draft_id_of_fal(completes: str | None, shown: str) -> None:
    g = factories.in_status(Status.IN_PROGRESS, draft_id="d-7", completes=completes)
    failure = factories.failure(message="d-7 is gone", detail=[{"d-7": "no d-7"}], retryable=True)

    error = g.failed(failure, 7, LATER).error

    assert error == replace(failure, message=f"{shown} is gone", detail=[{shown: f"no {shown}"}])
    assert replace(g, draft_id=None).failed(failure, 7, LATER).error == failure


def test_poll_of_a_completion_shows_no_draft_id_of_fal() -> None:
    g = factories.in_status(Status.IN_PROGRESS, draft_id="d-7", completes="gen_0")

    polled = g.polled(position=None, logs=(factories.log_line("render d-7"),))

    assert polled.logs == (factories.log_line("render gen_0"),)
    assert polled.polled(position=None, logs=(factories.log_line("render d-7"),)) is polled


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"resolution": "480p", "draft": True, "prompt": "a"}, {"resolution": "480p", "draft": True}),
        ({"duration": "5", "generate_audio": False}, {"duration": "5", "generate_audio": False}),
        ({"duration": "5", "generate_audio": True}, {"duration": "5"}),
    ],
)
def test_stripped_input_is_what_decides_the_price(given: dict[str, Any], kept: dict[str, Any]) -> None:
    g = factories.in_status(Status.IN_PROGRESS, draft_id="d-7", logs_dropped=3)
    stripped = replace(g, input=given, logs=(factories.log_line(),)).stripped(LATER)

    assert (stripped.input, stripped.draft_id, stripped.logs_dropped) == (kept, None, 4)


@pytest.mark.parametrize(("given", "draft"), [({"draft": True}, True), ({"draft": False}, False), ({}, False)])
def test_draft_is_named_by_the_input(given: dict[str, Any], draft: bool) -> None:
    assert factories.generation(input=given).is_draft is draft
