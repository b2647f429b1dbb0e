"""Event streams: every event once, in order, to the end, for any history and any disconnect."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.dispatch_gate import HoldReason
from service.domain.generation import LOG_LINES, Generation
from service.domain.generation_view import QueueView
from service.domain.status import TRANSITIONS, Status
from service.domain.stream import BEGINNING, Event, StreamCursor, events_since, is_over, parse_cursor
from tests.support import factories
from tests.support.factories import NOW

Snapshot = tuple[Generation, QueueView | None]
METHODS: dict[Status, Callable[[Generation], Generation]] = {
    Status.QUEUED: lambda g: g.requeued(),
    Status.SUBMITTING: lambda g: g.submitting(NOW),
    Status.UNCONFIRMED: lambda g: g.unconfirmed(),
    Status.SUBMITTED: lambda g: g.submitted("request-1"),
    Status.IN_PROGRESS: lambda g: g.started(NOW),
    Status.COPYING: lambda g: g.copying_started(factories.output(), 7, NOW),
    Status.SUCCEEDED: lambda g: g.succeeded(factories.output(), 7, NOW),
    Status.FAILED: lambda g: g.failed(factories.failure(), 7, NOW),
    Status.CANCELED: lambda g: g.canceled(7, NOW),
}


@st.composite
def histories(draw: st.DrawFn) -> list[Snapshot]:
    """Return every version of one generation, from queued to its end."""
    g, lines = factories.generation(), 0
    snapshots: list[Snapshot] = [(g, queue_of(draw, g))]
    while not g.is_terminal:
        if draw(st.booleans()):
            batch = draw(st.integers(0, 4))
            logs = tuple(factories.log_line(f"line {n}") for n in range(lines + 1, lines + batch + 1))
            lines += batch
            g = g.polled(position=draw(st.none() | st.integers(0, 3)), logs=logs)
        if not draw(st.booleans()):
            choices = sorted(TRANSITIONS[g.status])
            g = METHODS[draw(st.sampled_from(choices))](g)
        g = replace(g, version=g.version + 1)
        snapshots.append((g, queue_of(draw, g)))
    return snapshots


def queue_of(draw: st.DrawFn, g: Generation) -> QueueView | None:
    if g.status is not Status.QUEUED:
        return None
    estimate = draw(st.none() | st.sampled_from([0.0, 1.5, 1e9]))
    hold = draw(st.none() | st.sampled_from(HoldReason))
    return {"position": draw(st.integers(0, 3)), "estimated_start_seconds": estimate, "hold_reason": hold}


def events_of(snapshot: Snapshot, since: StreamCursor) -> list[Event]:
    return list(events_since(*snapshot, since))


@given(histories())
def test_stream_resumed_after_any_event_sends_the_rest(history: list[Snapshot]) -> None:
    for snapshot in history:
        whole = events_of(snapshot, BEGINNING)
        for cut, event in enumerate(whole, start=1):
            assert events_of(snapshot, parse_cursor(str(event.id))) == whole[cut:]


@given(histories(), st.data())
def test_stream_sends_each_event_once(history: list[Snapshot], data: st.DataObject) -> None:
    """A client that reads some versions, and whose connection breaks at any event."""
    received: list[Event] = []
    cursor = BEGINNING
    for snapshot in [s for s in history[:-1] if data.draw(st.booleans())] + [history[-1]] * 50:
        events = events_of(snapshot, cursor)
        arrived = events[: data.draw(st.integers(0, len(events)))] if snapshot is not history[-1] else events
        received += arrived
        cursor = parse_cursor(str(arrived[-1].id)) if arrived else cursor
        if snapshot is history[-1]:
            break
    last = history[-1][0]
    assert [e.data["message"] for e in received if e.kind == "log"] == [line.message for line in last.logs]
    states = [e.id.states for e in received if e.kind == "state"]
    assert states == sorted(set(states))
    assert (received[-1].kind, received[-1].data["status"]) == ("state", last.status)
    assert is_over(last, cursor)
    assert events_of(history[-1], cursor) == []
    queues = [(e.kind, e.data) for e in received if e.kind != "log"]
    assert not [1 for before, after in pairwise(queues) if before == after and after[0] == "queue"]


@given(histories(), st.text() | st.from_regex(r"\d{1,12}-\d{1,12}-[0-9.~]{0,50}"))
def test_cursor_of_another_generation_loses_nothing(history: list[Snapshot], text: str) -> None:
    for snapshot in history:
        cursor = parse_cursor(text)
        if cursor.states > snapshot[0].status_changes + 1 or cursor.logs > snapshot[0].logs_total:
            assert events_of(snapshot, cursor) == events_of(snapshot, BEGINNING)


@pytest.mark.parametrize("text", ["", "1", "1-2", "-1-2-", "1-2-x", "１-2-", "1-2-\n", "1-2-3~ ", "9" * 10 + "-1-"])
def test_cursor_of_another_form_is_the_beginning(text: str) -> None:
    assert parse_cursor(text) == BEGINNING


def test_stream_sends_a_repeated_state_again() -> None:
    """fal refused the submit: the generation is queued again."""
    g = factories.in_status(Status.QUEUED)
    (first, *_) = events_of((g, None), BEGINNING)
    again = g.submitting(NOW).requeued()

    assert [e.data["status"] for e in events_of((again, None), first.id)] == ["queued"]


def test_stream_state_has_the_queue_position() -> None:
    g = factories.in_status(Status.SUBMITTED).polled(position=3, logs=())
    (state,) = events_of((g, None), BEGINNING)
    assert state.data["queue"]["position"] == 3

    (moved,) = events_of((g.polled(position=2, logs=()), None), state.id)

    assert (moved.kind, moved.data) == ("queue", {"position": 2, "estimated_start_seconds": None, "hold_reason": None})
    assert moved.id == replace(state.id, queue="2~")


def test_stream_skips_dropped_log_lines() -> None:
    g = factories.in_status(Status.IN_PROGRESS)
    for n in range(LOG_LINES + 30):
        g = g.polled(position=None, logs=(factories.log_line(f"line {n}"),))
    behind = replace(BEGINNING, states=g.status_changes + 1, logs=10)

    lines = [event.data["message"] for event in events_of((g, None), behind)]

    assert lines == [f"line {n}" for n in range(30, LOG_LINES + 30)]


def test_stream_sends_no_dropped_log_line_again() -> None:
    window = tuple(factories.log_line(f"line {n}") for n in range(LOG_LINES + 50))
    g = factories.in_status(Status.IN_PROGRESS).polled(position=None, logs=window)

    assert g.polled(position=None, logs=window) is g
    assert g.logs == window[50:]


@pytest.mark.parametrize("text", ["9-0-", "3-7-", "9-7-4~"])
def test_cursor_ahead_starts_at_the_beginning(text: str) -> None:
    g = factories.in_status(Status.IN_PROGRESS).polled(position=None, logs=(factories.log_line(),))

    assert [event.kind for event in events_of((g, None), parse_cursor(text))] == ["state", "log"]


def test_erasure_sends_no_event_again() -> None:
    g = factories.in_status(Status.IN_PROGRESS).polled(position=None, logs=(factories.log_line(),))

    assert events_of((g.stripped(NOW), None), events_of((g, None), BEGINNING)[-1].id) == []


def test_erased_data_is_not_sent() -> None:
    g = factories.in_status(Status.IN_PROGRESS).polled(position=None, logs=(factories.log_line("mark"),))
    cursor = events_of((g, None), BEGINNING)[0].id

    stripped = g.stripped(NOW)
    ended = stripped.polled(position=None, logs=(factories.log_line("mark 2"),)).canceled(0, NOW)

    for since in (BEGINNING, cursor, events_of((g, None), BEGINNING)[-1].id):
        events = events_of((stripped, None), since) + events_of((ended, None), since)
        assert not [e for e in events if e.kind == "log"]
        assert "mark" not in repr(events)
        assert factories.PROMPT not in str([e.data for e in events])


def test_stream_is_over_after_the_terminal_state_alone() -> None:
    def last(g: Generation) -> StreamCursor:
        return events_of((g, None), BEGINNING)[-1].id

    running = factories.in_status(Status.IN_PROGRESS).polled(position=None, logs=(factories.log_line(),))
    ended = running.canceled(0, NOW)

    assert not is_over(running, last(running)), "all of it was sent, and more follows"
    assert not is_over(ended, BEGINNING)
    assert not is_over(ended, replace(last(ended), logs=0))
    assert is_over(ended, last(ended))


@pytest.mark.parametrize(
    ("queue", "text"),
    [
        ((None, None, None), "~"),
        ((0, None, None), "0~"),
        ((3, 1.5, None), "3~1.5"),
        ((3, 0.0, HoldReason.PAUSED), f"3~0.0~{list(HoldReason).index(HoldReason.PAUSED)}"),
        ((None, None, next(iter(HoldReason))), "~~0"),
    ],
)
def test_cursor_has_a_fixed_form(queue: tuple[int | None, float | None, HoldReason | None], text: str) -> None:
    """Clients of an older release send it to this one, after a deployment."""
    position, seconds, hold = queue
    view: QueueView = {"position": position, "estimated_start_seconds": seconds, "hold_reason": hold}
    g = factories.in_status(Status.QUEUED)
    (event,) = events_of((g, view), BEGINNING)
    assert str(event.id) == f"1-0-{text}"
    assert parse_cursor(f"1-0-{text}") == StreamCursor(1, 0, text)
    assert events_of((g, view), event.id) == []


def test_stream_of_an_ended_generation_has_no_queue_event() -> None:
    g = factories.in_status(Status.SUBMITTED).polled(position=3, logs=(factories.log_line("one"),))
    ended = g.canceled(0, NOW)
    assert [(event.kind, str(event.id)) for event in events_of((ended, None), BEGINNING)] == [
        ("log", "0-1-"),
        ("state", f"{ended.status_changes + 1}-1-"),
    ]
    (state, log) = events_of((g, None), BEGINNING)
    assert (str(state.id), str(log.id)) == (f"{g.status_changes + 1}-0-3~", f"{g.status_changes + 1}-1-3~")
