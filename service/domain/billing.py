"""Matching of fal's billing events with unconfirmed generations.

A wrong match would give one tenant's video to another. An event matches only if it can belong to one generation alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from service.domain.generation import Generation
from service.domain.pricing import Rates

#: Form of a fal request id from outside. The gateway puts it into URLs.
REQUEST_ID: Final = r"[A-Za-z0-9_-]{1,128}"

#: Most difference between fal's clock and the gateway's.
SKEW: Final = timedelta(minutes=1)


#: Tokens of the units that bills are known to have.
_KNOWN_UNIT: Final = 1000


@dataclass(frozen=True, slots=True)
class BillingEvent:
    """A job that fal billed. None: fal named no value, which matches any."""

    request_id: str | None
    at: datetime | None = None
    units: Decimal | None = None
    """Units of the endpoint's price; 0 for example for a job that was refused for its content."""


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


def suspect(g: Generation, submitted_at: datetime, rates: Rates | None) -> Suspect:
    """Make a suspect, with bounds of its billed units if these are certain. ``rates``: None: the model is not known."""
    if rates is None or g.input_seconds is not None or g.completes is not None:
        # fal measures input videos itself, and bills their seconds too; no bill of a completion was ever seen.
        return Suspect(g.id, submitted_at)
    return Suspect(g.id, submitted_at, *_bounds(g.input, rates))


def _bounds(arguments: Mapping[str, Any], rates: Rates) -> tuple[Decimal | None, Decimal | None]:
    """Return the bounds of units that follow from the input; None: no bound is certain.

    Units of another size than 1,000 tokens, which Seedance 1.x has, were never seen in a bill. Neither were those of
    drafts.
    """
    duration, resolution = arguments.get("duration"), arguments.get("resolution")
    has_price = resolution in rates.per_thousand_tokens and resolution in rates.pixels
    is_fixed = resolution is not None and duration not in (None, "auto") and has_price
    if not is_fixed or rates.unit_tokens != _KNOWN_UNIT or arguments.get("draft"):
        return None, None
    return rates.expected_units(str(resolution), str(duration))


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
