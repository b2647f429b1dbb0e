"""Reconciliation: find the fal request ids of unconfirmed submits in fal's billing events.

A request id is adopted only if no other generation can have caused its billing event. Otherwise nothing is changed.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from service.clock import Clock
from service.domain import transitions
from service.domain.billing import SKEW, Adopted, BillingEvent, Match, Suspect, matches, suspect
from service.domain.generation import Generation
from service.domain.status import Status
from service.errors import RequestIdTaken, UpstreamUnavailable
from service.observability import log, metrics
from service.store.generations.generations import GenerationStore
from service.store.generations.submissions import SubmissionStore
from service.upstream.billing import FalBilling
from service.usecases.lifecycle.transition_service import TransitionService

#: A reading of the bill is used for this long: generations that are due at the same time share one.
_FRESH: Final = timedelta(seconds=5)
#: fal's billing API accepts no longer range.
_LONGEST_RANGE: Final = timedelta(days=90)

Outcome = Literal["adopted", "ambiguous", "absent", "unbilled", "trouble"]
"""``absent``: not billed so far. ``unbilled``: not billed after the longest time that fal can take."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What fal's bill contained at one time about the generations that were unconfirmed then."""

    at: datetime
    """The moment before the bill was read: it may lack what fal billed after that."""
    matches: Mapping[str, Match] | None
    """By generation id; None: the bill could not be read."""


class Reconciliation:
    def __init__(
        self,
        billing: FalBilling,
        generations: GenerationStore,
        submissions: SubmissionStore,
        transition_service: TransitionService,
        *,
        every: timedelta,
        upstream_deadline: timedelta,
        clock: Clock,
    ) -> None:
        self.every = every
        self._billing = billing
        self._generations = generations
        self._submissions = submissions
        self._transitions = transition_service
        self._upstream_deadline = upstream_deadline
        self._clock = clock
        self._reading: Reading | None = None
        self._lock = asyncio.Lock()
        self._reported: set[str] = set()
        """Generations whose ambiguity is logged."""
        self._log = log.get(__name__)

    async def reconcile(self, g: Generation) -> Outcome:
        """Adopt the request that only this generation can have caused, if the bill has one."""
        if g.model != self._billing.endpoint_id:
            return self._ambiguous(g)  # submitted while another model was set: the bill is of this model
        reading = await self._read(g)
        match None if reading.matches is None else reading.matches.get(g.id):
            case None:
                return "trouble"
            case Adopted(request_id):
                return await self._adopt(g, request_id)
            case "ambiguous":
                return self._ambiguous(g)
            case "absent":
                over = g.submitted_at is not None and reading.at - g.submitted_at >= self._upstream_deadline
                return "unbilled" if over else "absent"

    async def _adopt(self, g: Generation, request_id: str) -> Outcome:
        now = self._clock()
        try:
            moved = await self._transitions.apply(
                g.id,
                lambda current: transitions.adopt(current, request_id, now),
                why="billing event",
            )
        except RequestIdTaken:
            return self._ambiguous(g)
        if moved is not None:
            metrics.RECONCILIATIONS.labels("adopted").inc()
            self._log.warning("submit_reconciled", generation_id=g.id, fal_request_id=request_id)
        return "adopted"  # or another process has moved the generation, which has the same effect

    def _ambiguous(self, g: Generation) -> Outcome:
        if g.id not in self._reported:
            self._reported.add(g.id)
            metrics.RECONCILIATIONS.labels("ambiguous").inc()
            self._log.error("submit_ambiguous", generation_id=g.id)
        return "ambiguous"

    async def _read(self, g: Generation) -> Reading:
        async with self._lock:
            if self._reading is None or not self._is_usable(self._reading, g):
                at = self._clock()
                self._reading = Reading(at, await self._matches())
            return self._reading

    def _is_usable(self, reading: Reading, g: Generation) -> bool:
        fresh = timedelta() <= self._clock() - reading.at < _FRESH
        return fresh and (reading.matches is None or g.id in reading.matches)

    async def _matches(self) -> dict[str, Match] | None:
        """Read the billing events before the candidates: submits made later cannot appear in these events."""
        now = self._clock()
        unconfirmed, submitting = await self._unconfirmed_and_submitting()
        oldest = min((one.submitted_at for one in (*unconfirmed, *submitting)), default=now) - SKEW
        if oldest < now - _LONGEST_RANGE:
            return None
        try:
            events = await self._billing.events(start=oldest, end=now)
        except UpstreamUnavailable as error:
            metrics.RECONCILIATIONS.labels("upstream_unavailable").inc()
            self._log.warning("billing_unavailable", reason=error.detail)
            return None
        unconfirmed, submitting = await self._unconfirmed_and_submitting()
        # After the unconfirmed: a generation that is given up between the two reads is in both lists, not in none.
        given_up = await self._given_up()
        self._reported &= {one.id for one in unconfirmed}
        return matches(unconfirmed, submitting + given_up, await self._unclaimed(events))

    async def _unconfirmed_and_submitting(self) -> tuple[list[Suspect], list[Suspect]]:
        """Return the unconfirmed generations, and those being submitted: fal may have billed these as well."""
        unconfirmed, submitting = [], []
        for g in await self._generations.load_many(await self._submissions.in_doubt()):
            if g is not None and g.submitted_at is not None:
                candidate = suspect(g.id, g.submitted_at, g.input)
                if g.status is Status.UNCONFIRMED:
                    unconfirmed.append(candidate)
                elif g.status is Status.SUBMITTING:
                    submitting.append(candidate)
        return unconfirmed, submitting

    async def _given_up(self) -> list[Suspect]:
        """Return generations that were given up: fal may have billed them within the longest time that it can take."""
        given_up = await self._submissions.given_up()
        records = await self._generations.load_many([name for name, _ in given_up])
        return [
            replace(suspect(name, since, {} if g is None else g.input), until=since + self._upstream_deadline + SKEW)
            for (name, since), g in zip(given_up, records, strict=True)
        ]

    async def _unclaimed(self, events: Sequence[BillingEvent]) -> list[BillingEvent]:
        """Return the billing events whose request id belongs to no generation."""
        request_ids = sorted({event.request_id for event in events if event.request_id is not None})
        known = await self._submissions.find_known(request_ids)
        return [event for event in events if event.request_id not in known]
