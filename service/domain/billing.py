"""What fal billed, and whose it may be: told only where there is no other way to tell it.

A wrong guess would hand one tenant's video to another, so whatever could be somebody else's is nobody's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from service.domain.pricing import expected_units

#: A request id that somebody else names, and that goes into a URL of ours.
REQUEST_ID: Final = r"[A-Za-z0-9_-]{1,128}"

#: How far fal's clock and ours may lie apart.
SKEW: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class BillingEvent:
    """A job that fal billed; None: it did not say, which fits everything."""

    request_id: str | None
    at: datetime | None = None
    units: Decimal | None = None
    """Thousands of tokens. A job may be listed at 0: refused for its content, say."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A generation that fal may have taken without our knowing its request id."""

    id: str
    submitted_at: datetime
    least_units: Decimal | None = None
    most_units: Decimal | None = None
    until: datetime | None = None
    """What was billed after this is not its own; None: no such moment is known."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """The request is its own, and nobody else's."""

    request_id: str


Match = Adopted | Literal["ambiguous", "absent"]
"""``ambiguous``: something may be its own, or another's. ``absent``: nothing that was billed can be its own."""


def suspect(generation_id: str, submitted_at: datetime, arguments: Mapping[str, Any]) -> Suspect:
    """With what its video may be billed at, where its input says so."""
    duration, resolution = arguments.get("duration"), arguments.get("resolution")
    if duration in (None, "auto") or resolution is None:
        return Suspect(generation_id, submitted_at)
    return Suspect(generation_id, submitted_at, *expected_units(resolution, duration))


def matches(
    unconfirmed: Sequence[Suspect], rivals: Sequence[Suspect], events: Sequence[BillingEvent]
) -> dict[str, Match]:
    """Of each unconfirmed generation what the unclaimed events say; ``rivals`` contest them and are given nothing."""
    jobs = _by_request(events)
    of_job = [[s for s in (*unconfirmed, *rivals) if could_be(s, job)] for job in jobs]
    found: dict[str, Match] = {}
    for one in unconfirmed:
        own = [(job, suspects) for job, suspects in zip(jobs, of_job, strict=True) if one in suspects]
        match own:
            case []:
                found[one.id] = "absent"
            case [(BillingEvent(request_id=str(request_id)) as job, [_])] if _after(one, job):
                found[one.id] = Adopted(request_id)
            case _:
                found[one.id] = "ambiguous"
    return found


def could_be(one: Suspect, job: BillingEvent) -> bool:
    """Generous: what cannot be ruled out, could be."""
    if job.at is not None and job.at < one.submitted_at - SKEW:
        return False
    if job.at is not None and one.until is not None and job.at > one.until:
        return False
    if not job.units or one.least_units is None or one.most_units is None:
        return True
    return one.least_units <= job.units <= one.most_units


def _after(one: Suspect, job: BillingEvent) -> bool:
    """Strict, where it is about giving."""
    return job.at is not None and job.at >= one.submitted_at


def _by_request(events: Sequence[BillingEvent]) -> list[BillingEvent]:
    """One per request; where fal lists a request several times, its units are not to be told."""
    jobs: dict[str, BillingEvent] = {}
    nameless = []
    for event in events:
        if event.request_id is None:
            nameless.append(event)
        elif (known := jobs.get(event.request_id)) is None:
            jobs[event.request_id] = event
        else:
            latest = None if known.at is None or event.at is None else max(known.at, event.at)
            jobs[event.request_id] = BillingEvent(event.request_id, latest)
    return [*jobs.values(), *nameless]
