"""The history of a generation that operators read: each event of its record once, the oldest first."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service.domain.status import Status
from service.domain.timeline import Event, Moment, timeline
from tests.support import factories
from tests.support.factories import NOW

MINUTE = timedelta(minutes=1)
#: In the order of a usual generation.
EVENTS: list[tuple[str, Event]] = [
    ("created_at", "created"),
    ("submitted_at", "submit_began"),
    ("confirmed_at", "request_id_found"),
    ("started_at", "started"),
    ("poll_failing_since", "polls_failing"),
    ("cancel_requested_at", "cancel_requested"),
    ("cancel_sent_at", "cancel_accepted"),
    ("fal_ended_at", "rendered"),
    ("finished_at", "canceled"),
]


def test_timeline_has_each_event_with_its_time() -> None:
    times: dict[str, Any] = {name: NOW + number * MINUTE for number, (name, _) in enumerate(EVENTS)}
    g = replace(factories.generation(), status=Status.CANCELED, **times)

    assert timeline(g) == [Moment(times[name], event) for name, event in EVENTS]


def test_timeline_is_in_the_order_of_time() -> None:
    times: dict[str, Any] = {name: NOW - number * MINUTE for number, (name, _) in enumerate(EVENTS)}
    g = replace(factories.generation(), status=Status.CANCELED, **times)

    assert [moment.event for moment in timeline(g)] == [event for _, event in reversed(EVENTS)]


def test_timeline_of_events_at_the_same_time_has_their_usual_order() -> None:
    g = replace(factories.generation(), status=Status.CANCELED, **{name: NOW for name, _ in EVENTS})  # type: ignore[arg-type]

    assert [moment.event for moment in timeline(g)] == [event for _, event in EVENTS]


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CANCELED])
def test_timeline_ends_with_the_end_of_a_generation(status: Status) -> None:
    g = factories.in_status(status)
    last = timeline(g)[-1]

    assert (last.at, last.event) == (g.finished_at, status.value)


def test_timeline_of_a_queued_generation_is_its_create() -> None:
    assert timeline(factories.generation()) == [Moment(NOW, "created")]
