"""What the outcome of a submit makes of a generation, row by row."""

import pytest

from service.domain.outcomes import Accepted, Locked, NotSubmitted, Rejected, SubmitOutcome, Unknown
from service.domain.status import Status
from service.usecases.lifecycle.dispatch import arguments, settled
from tests.support import factories
from tests.support.factories import NOW

REJECTED = Rejected(factories.failure())


@pytest.mark.parametrize(
    ("outcome", "status", "slot"),
    [
        (Accepted("request-1"), Status.SUBMITTED, True),
        (NotSubmitted("ConnectError"), Status.QUEUED, False),
        (Locked("fal answered 403"), Status.QUEUED, False),
        (REJECTED, Status.FAILED, False),
        (Unknown("ReadTimeout"), Status.UNCONFIRMED, True),
    ],
)
def test_each_outcome_of_a_submit(outcome: SubmitOutcome, status: Status, slot: bool) -> None:
    after = settled(factories.in_status(Status.SUBMITTING), outcome, NOW)
    assert after is not None
    assert (after.status, after.holds_slot) == (status, slot)


@pytest.mark.parametrize("outcome", [NotSubmitted("ConnectError"), Locked("fal answered 403")])
def test_a_cancel_asked_for_meanwhile_comes_true_when_fal_did_not_take_it(outcome: SubmitOutcome) -> None:
    wished = factories.in_status(Status.SUBMITTING).cancel_requested(NOW)
    after = settled(wished, outcome, NOW)
    assert after is not None
    assert (after.status, after.actual_cost) == (Status.CANCELED, 0)


def test_a_request_id_that_comes_late_still_counts() -> None:
    after = settled(factories.in_status(Status.UNCONFIRMED), Accepted("request-1"), NOW)
    assert after is not None
    assert (after.status, after.request_id) == (Status.SUBMITTED, "request-1")


@pytest.mark.parametrize("outcome", [NotSubmitted("ConnectError"), Locked("fal answered 403"), REJECTED])
def test_a_refusal_that_comes_late_proves_that_nothing_was_paid(outcome: SubmitOutcome) -> None:
    after = settled(factories.in_status(Status.UNCONFIRMED), outcome, NOW)
    assert after is not None
    assert (after.status, after.actual_cost) == (Status.FAILED, 0), "never queued again"


@pytest.mark.parametrize("outcome", [NotSubmitted("x"), Locked("x"), REJECTED, Unknown("x")])
@pytest.mark.parametrize("status", [s for s in Status if s not in (Status.SUBMITTING, Status.UNCONFIRMED)])
def test_what_has_a_request_id_or_has_ended_is_moved_by_no_refusal(outcome: SubmitOutcome, status: Status) -> None:
    assert settled(factories.in_status(status), outcome, NOW) is None


def test_what_was_given_up_already_stays_so() -> None:
    assert settled(factories.in_status(Status.UNCONFIRMED), Unknown("x"), NOW) is None


@pytest.mark.parametrize("status", [Status.QUEUED, Status.SUBMITTED, Status.SUCCEEDED, Status.FAILED, Status.CANCELED])
def test_a_request_id_moves_nothing_that_has_one_or_has_ended(status: Status) -> None:
    assert settled(factories.in_status(status), Accepted("request-2"), NOW) is None


def test_fal_sees_the_pseudonym_and_not_the_end_user() -> None:
    g = factories.generation(end_user_id="customer-7", end_user="eu_0123")
    assert arguments(g)["end_user_id"] == "eu_0123"
    assert "customer-7" not in str(arguments(g))
