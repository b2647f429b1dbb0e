"""Until when a draft can be completed, and what fal receives of a completion."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from service.domain.drafts import arguments, completable_until
from service.domain.generation import Generation
from service.domain.status import Status
from tests.support import factories
from tests.support.factories import NOW

DAY = timedelta(days=1)
DRAFT = factories.generation(
    input={"draft": True}, output=replace(factories.output(), draft_id="d-7"), finished_at=NOW + DAY
)


@pytest.mark.parametrize(
    ("ended_at", "retention", "until"),
    [
        (None, None, NOW + 8 * DAY),
        (NOW, None, NOW + 7 * DAY),
        (NOW, 7 * DAY, NOW + 7 * DAY),
        (NOW, 2 * DAY, NOW + 3 * DAY),  # after the end, which followed the copy
    ],
)
def test_draft_is_completable_for_seven_days(
    ended_at: datetime | None, retention: timedelta | None, until: datetime
) -> None:
    assert completable_until(replace(DRAFT, fal_ended_at=ended_at, retention=retention)) == until


def test_draft_being_copied_is_completable() -> None:
    copying = replace(DRAFT, finished_at=None, fal_ended_at=NOW, retention=DAY)
    assert completable_until(copying) == NOW + 7 * DAY


@pytest.mark.parametrize(
    "g",
    [
        replace(DRAFT, input={}),
        replace(DRAFT, finished_at=None),
        replace(DRAFT, output=None),
        replace(DRAFT, output=factories.output()),
        factories.in_status(Status.SUCCEEDED),
    ],
)
def test_other_generation_is_not_completable(g: Generation) -> None:
    assert completable_until(g) is None


def test_completion_is_sent_with_the_draft_id_of_fal() -> None:
    given = {"codec": "H264", "duration": "5", "generate_audio": False}

    assert arguments(factories.generation(input=given)) == given
    assert arguments(factories.generation(input=given, draft_id="d-7")) == {"draft_id": "d-7", "codec": "H264"}
