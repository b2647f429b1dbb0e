"""The public status of each status."""

from service.domain.status import PUBLIC, PUBLIC_TERMINAL, TERMINAL, PublicStatus, Status, StatusGroup


def test_public_status_of_copying_is_in_progress() -> None:
    assert PUBLIC[Status.COPYING] is PublicStatus.IN_PROGRESS


def test_public_status_of_any_other_has_the_same_value() -> None:
    assert {status.value: public.value for status, public in PUBLIC.items() if status is not Status.COPYING} == {
        public.value: public.value for public in PublicStatus
    }


def test_public_terminal_statuses_are_the_terminal_ones() -> None:
    assert {status.value for status in PUBLIC_TERMINAL} == {status.value for status in TERMINAL}


def test_status_groups_have_their_public_statuses() -> None:
    live = set(PublicStatus) - {PublicStatus.SUCCEEDED, PublicStatus.FAILED, PublicStatus.CANCELED}

    assert {status for status in PublicStatus if StatusGroup.LIVE.has(status)} == live
    assert {status for status in PublicStatus if StatusGroup.IN_FLIGHT.has(status)} == live - {PublicStatus.QUEUED}
