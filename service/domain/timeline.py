"""What happened to a generation and when, as far as its record says."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from service.domain.generation import Generation

Event = Literal[
    "created",
    "submit_began",
    "request_id_found",
    "started",
    "rendered",
    "cancel_requested",
    "cancel_accepted",
    "polls_failing",
    "succeeded",
    "failed",
    "canceled",
]


@dataclass(frozen=True, slots=True)
class Moment:
    """One event. ``submit_began``: of the last submit. ``rendered``: fal's result was fetched, and a copy followed."""

    at: datetime
    event: Event


def timeline(g: Generation) -> list[Moment]:
    """Return the events of a generation, the oldest first. Events with the same time keep their usual order."""
    known: list[tuple[datetime | None, Event]] = [
        (g.created_at, "created"),
        (g.submitted_at, "submit_began"),
        (g.confirmed_at, "request_id_found"),
        (g.started_at, "started"),
        (g.poll_failing_since, "polls_failing"),
        (g.cancel_requested_at, "cancel_requested"),
        (g.cancel_sent_at, "cancel_accepted"),
        (g.fal_ended_at, "rendered"),
    ]
    if g.is_terminal:
        known.append((g.finished_at, _END[g.status]))
    return sorted((Moment(at, event) for at, event in known if at is not None), key=lambda moment: moment.at)


_END: dict[str, Event] = {"succeeded": "succeeded", "failed": "failed", "canceled": "canceled"}
