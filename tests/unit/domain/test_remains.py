"""What a tenant reads about the data that an erasure leaves, and until when it exists."""

from dataclasses import replace
from datetime import timedelta

import pytest

from service.domain.erasure import Erasure
from service.domain.remains import remains
from tests.support.factories import NOW

DAY = timedelta(days=1)
DONE = Erasure(
    tenant_id="ten_1",
    pseudonym="eu_1",
    state="done",
    generations=3,
    in_flight=0,
    remaining=0,
    started_at=NOW,
    finished_at=NOW + DAY,
)
ALWAYS = ["fal_files", "fal_history", "money", "logs", "backups"]


def test_remains_of_an_erasure_have_their_ends() -> None:
    left = {each.what: each.until for each in remains(DONE, money_retention=400 * DAY)}

    assert left == {
        "fal_files": None,
        "fal_history": NOW + 31 * DAY,
        "money": NOW + 401 * DAY,
        "logs": None,
        "backups": None,
    }


def test_remains_of_a_running_erasure_count_from_its_start() -> None:
    running = replace(DONE, state="running", finished_at=None)

    assert [each.until for each in remains(running, money_retention=400 * DAY)][1:3] == [
        NOW + 30 * DAY,
        NOW + 400 * DAY,
    ]


@pytest.mark.parametrize(
    ("erasure", "found"),
    [
        (DONE, ALWAYS),
        (replace(DONE, in_flight=1), [*ALWAYS[:3], "in_flight", *ALWAYS[3:]]),
        (replace(DONE, is_blocked=True), [*ALWAYS[:3], "block", *ALWAYS[3:]]),
        (replace(DONE, deliveries=1), [*ALWAYS, "receivers"]),
    ],
)
def test_remains_name_what_the_erasure_found(erasure: Erasure, found: list[str]) -> None:
    left = remains(erasure, money_retention=DAY)

    assert [each.what for each in left] == found
    assert all(each.until is None for each in left if each.what in ("in_flight", "block", "receivers"))
    assert len({each.detail for each in left}) == len(left)
