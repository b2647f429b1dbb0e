"""Matching of fal's billing events with unconfirmed generations.

A wrong match would give one tenant's video to another. An event matches only if it can belong to one generation alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from service.domain.pricing import expected_units

#: Form of a fal request id from outside. The gateway puts it into URLs.
REQUEST_ID: Final = r"[A-Za-z0-9_-]{1,128}"

#: Most difference between fal's clock and the gateway's.
SKEW: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class BillingEvent:
    """A job that fal billed. None: fal named no value, which matches any."""

    request_id: str | None
    at: datetime | None = None
    units: Decimal | None = None
    """Thousands of tokens; 0 for example for a job that was refused for its content."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A generation that fal may have accepted under a request id that is not known."""

    id: str
    submitted_at: datetime
    least_units: Decimal | None = None
    most_units: Decimal | None = None
    until: datetime | None = None
    """Events after this time cannot belong to it; None: no such time is known."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """The billed request belongs to this generation, and can belong to no other."""

    request_id: str


Match = Adopted | Literal["ambiguous", "absent"]
"""``ambiguous``: an event may belong to it, or to another generation. ``absent``: no event can belong to it."""


def suspect(generation_id: str, submitted_at: datetime, arguments: Mapping[str, Any]) -> Suspect:
    """Make a suspect, with bounds of its billed units if resolution and duration are fixed."""
    duration, resolution = arguments.get("duration"), arguments.get("resolution")
    if duration in (None, "auto") or resolution is None:
        return Suspect(generation_id, submitted_at)
    return Suspect(generation_id, submitted_at, *expected_units(resolution, duration))


def matches(
    unconfirmed: Sequence[Suspect], rivals: Sequence[Suspect], events: Sequence[BillingEvent]
) -> dict[str, Match]:
    """Return the match of each unconfirmed generation among the events that belong to no known generation.

    ``rivals`` are generations that an event may belong to as well. They get no match themselves.
    """
    jobs = [(job, [s for s in (*unconfirmed, *rivals) if could_be(s, job)]) for job in _by_request(events)]
    found: dict[str, Match] = {}
    for one in unconfirmed:
        own = [(job, suspects) for job, suspects in jobs if one in suspects]
        match own:
            case []:
                found[one.id] = "absent"
            case [(BillingEvent(request_id=str(request_id)) as job, [_])] if _after(one, job):
                found[one.id] = Adopted(request_id)
            case _:
                found[one.id] = "ambiguous"
    return found


def could_be(one: Suspect, job: BillingEvent) -> bool:
    """Return whether the job can belong to the generation. Everything that is not ruled out can."""
    if job.at is not None and job.at < one.submitted_at - SKEW:
        return False
    if job.at is not None and one.until is not None and job.at > one.until:
        return False
    if not job.units or one.least_units is None or one.most_units is None:
        return True
    return one.least_units <= job.units <= one.most_units


def _after(one: Suspect, job: BillingEvent) -> bool:
    """Return whether the job was certainly billed after the submit. A match needs that."""
    return job.at is not None and job.at >= one.submitted_at


def _by_request(events: Sequence[BillingEvent]) -> list[BillingEvent]:
    """Return one event per request. The units of a request that fal lists several times are not known."""
    jobs: dict[str, BillingEvent] = {}
    unnamed = []
    for event in events:
        if event.request_id is None:
            unnamed.append(event)
        elif (known := jobs.get(event.request_id)) is None:
            jobs[event.request_id] = event
        else:
            latest = None if known.at is None or event.at is None else max(known.at, event.at)
            jobs[event.request_id] = BillingEvent(event.request_id, latest)
    return [*jobs.values(), *unnamed]
