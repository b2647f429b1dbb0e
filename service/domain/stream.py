"""Events of a generation's event stream that are new since a cursor, in order."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from service.domain.dispatch_gate import HoldReason
from service.domain.generation import Generation
from service.domain.generation_view import QueueView, log_view, public

#: A hold is a number in the cursor: an older release reads digits only, and would send a stream from its beginning.
_HOLD_REASONS: Final = tuple(HoldReason)
_CURSOR: Final = re.compile(r"(\d{1,9})-(\d{1,9})-([0-9.~]{0,40})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class StreamCursor:
    """Position in an event stream, sent as the id of each event.

    It counts what the record counts, so a client can resume its stream at another process.
    """

    states: int = 0
    """Number of states up to the last one that was sent."""
    logs: int = 0
    """Number of log lines up to the last one that was sent."""
    queue: str = ""
    """The queue position, estimate and hold that were sent last."""

    def __str__(self) -> str:
        return f"{self.states}-{self.logs}-{self.queue}"


BEGINNING: Final = StreamCursor()


def parse_cursor(text: str) -> StreamCursor:
    """Parse the id of an event. Any other text gives the beginning of the stream."""
    found = _CURSOR.match(text)
    return BEGINNING if found is None else StreamCursor(int(found[1]), int(found[2]), found[3])


@dataclass(frozen=True, slots=True)
class Event:
    id: StreamCursor
    """The cursor after this event."""
    kind: Literal["state", "queue", "log"]
    data: Any


def events_since(g: Generation, queue: QueueView | None, since: StreamCursor) -> Iterator[Event]:
    """Yield the events since a cursor. The last event of a generation is always its terminal state.

    Two changes of the status between two reads give one event, of the current state. Log lines that left the record
    are not sent.
    """
    cursor = since if _can_be_of(since, g) else BEGINNING
    if g.is_terminal:
        for event in _log(g, cursor):
            cursor = event.id
            yield event
    view = public(g, queue)
    if cursor.states < _states(g):
        cursor = replace(cursor, states=_states(g), queue=_queue_text(view["queue"]))
        yield Event(cursor, "state", view)
    if g.is_terminal:
        return
    if view["queue"] is not None and (text := _queue_text(view["queue"])) != cursor.queue:
        cursor = replace(cursor, queue=text)
        yield Event(cursor, "queue", view["queue"])
    yield from _log(g, cursor)


def is_over(g: Generation, since: StreamCursor) -> bool:
    """Return whether the terminal state was sent, so that no event can follow."""
    return g.is_terminal and (since.states, since.logs) == (_states(g), g.logs_total)


def _log(g: Generation, cursor: StreamCursor) -> Iterator[Event]:
    for number, line in enumerate(g.logs, start=g.logs_dropped + 1):
        if number > cursor.logs:
            cursor = replace(cursor, logs=number)
            yield Event(cursor, "log", log_view(line))


def _states(g: Generation) -> int:
    return g.status_changes + 1


def _can_be_of(cursor: StreamCursor, g: Generation) -> bool:
    """Return whether the cursor can be of this generation. One that is ahead is of another: all events are sent."""
    return cursor.states <= _states(g) and cursor.logs <= g.logs_total


def _queue_text(queue: QueueView | None) -> str:
    if queue is None:
        return ""
    position, seconds, hold = queue["position"], queue["estimated_start_seconds"], queue["hold_reason"]
    text = f"{'' if position is None else position}~{'' if seconds is None else seconds}"
    return text if hold is None else f"{text}~{_HOLD_REASONS.index(hold)}"
