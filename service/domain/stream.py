"""What a stream of events tells: everything about a generation that is new since a place, in order."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from service.domain.generation import Generation
from service.domain.generation_view import QueueView, log_view, public

_TEXT: Final = re.compile(r"(\d{1,9})-(\d{1,9})-([0-9.~]{0,40})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class StreamCursor:
    """How far a stream has come; as an event's id it says to any process what its reader has had.

    It counts what the record counts: one process may begin a stream and another go on with it.
    """

    states: int = 0
    """States there have been, up to the one told last."""
    logs: int = 0
    queue: str = ""
    """Its place in the queue, as it was told last."""

    def __str__(self) -> str:
        return f"{self.states}-{self.logs}-{self.queue}"


BEGINNING: Final = StreamCursor()


def parse_cursor(text: str) -> StreamCursor:
    """From an event's id; the beginning where it is none of ours."""
    found = _TEXT.match(text)
    return BEGINNING if found is None else StreamCursor(int(found[1]), int(found[2]), found[3])


@dataclass(frozen=True, slots=True)
class Event:
    id: StreamCursor
    """Everything up to and with this event has been told."""
    kind: Literal["state", "queue", "log"]
    data: Any


def events_since(g: Generation, queue: QueueView | None, since: StreamCursor) -> Iterator[Event]:
    """Events since a place. The last one of a generation is always its last state.

    Between two looks it may have moved twice: a state is what is, not every step to it. Of the log, what the record
    keeps.
    """
    place = since if _is_behind(since, g) else BEGINNING
    if g.is_terminal:
        for event in _log(g, place):
            place = event.id
            yield event
    view = public(g, queue)
    if place.states < _states(g):
        place = replace(place, states=_states(g), queue=_told(view["queue"]))
        yield Event(place, "state", view)
    if g.is_terminal:
        return
    if view["queue"] is not None and (told := _told(view["queue"])) != place.queue:
        place = replace(place, queue=told)
        yield Event(place, "queue", view["queue"])
    yield from _log(g, place)


def is_over(g: Generation, since: StreamCursor) -> bool:
    """Its end was told: there will never be news."""
    return g.is_terminal and (since.states, since.logs) == (_states(g), g.logs_total)


def _log(g: Generation, place: StreamCursor) -> Iterator[Event]:
    for number, line in enumerate(g.logs, start=g.logs_dropped + 1):
        if number > place.logs:
            place = replace(place, logs=number)
            yield Event(place, "log", log_view(line))


def _states(g: Generation) -> int:
    return g.status_changes + 1


def _is_behind(place: StreamCursor, g: Generation) -> bool:
    """Of another generation, it may be ahead; then everything is told."""
    return place.states <= _states(g) and place.logs <= g.logs_total


def _told(queue: QueueView | None) -> str:
    if queue is None:
        return ""
    position, seconds = queue["position"], queue["estimated_start_seconds"]
    return f"{'' if position is None else position}~{'' if seconds is None else seconds}"
