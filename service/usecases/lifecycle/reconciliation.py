"""Reconciliation: find the fal request ids of unconfirmed submits in fal's billing events.

A request id is adopted only if no other generation can have caused its billing event. Otherwise nothing is changed.
Each endpoint of fal has a bill of its own: generations of models that share an endpoint are candidates of one bill.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from service.clock import Clock
from service.domain import transitions
from service.domain.billing import SKEW, Adopted, BillingEvent, Match, Suspect, matches, suspect
from service.domain.generation import Generation
from service.domain.models.registry import Registry
from service.domain.pricing import Prices
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
    """What the bill of an endpoint contained at one time about the generations that were unconfirmed then."""

    at: datetime
    """The moment before the bill was read: it may lack what fal billed after that."""
    matches: Mapping[str, Match] | None
    """By generation id; None: the bill could not be read."""


class _Bill:
    """The bill of an endpoint, as it was read last."""

    def __init__(self) -> None:
        self.reading: Reading | None = None
        self.lock = asyncio.Lock()
        self.reported: set[str] = set()
        """Generations whose ambiguity is logged."""


class Reconciliation:
    def __init__(
        self,
        billing: FalBilling,
        generations: GenerationStore,
        submissions: SubmissionStore,
        transition_service: TransitionService,
        models: Registry,
        prices: Prices,
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
        self._models = models
        self._prices = prices
        self._upstream_deadline = upstream_deadline
        self._clock = clock
        self._bills: defaultdict[str, _Bill] = defaultdict(_Bill)
        """By endpoint id."""
        self._log = log.get(__name__)

    async def reconcile(self, g: Generation) -> Outcome:
        """Adopt the request that only this generation can have caused, if the bill has one."""
        if g.model not in self._models.known:
            return self._ambiguous(g)  # the endpoint of a model that was removed is not certain
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
        reported = self._bills[self._endpoint(g)].reported
        if g.id not in reported:
            reported.add(g.id)
            metrics.RECONCILIATIONS.labels("ambiguous").inc()
            self._log.error("submit_ambiguous", generation_id=g.id)
        return "ambiguous"

    def _endpoint(self, g: Generation) -> str:
        return self._models.upstream(g.model)

    async def _read(self, g: Generation) -> Reading:
        endpoint = self._endpoint(g)
        bill = self._bills[endpoint]
        async with bill.lock:
            if bill.reading is None or not self._is_usable(bill.reading, g):
                at = self._clock()
                bill.reading = Reading(at, await self._matches(endpoint, bill))
            return bill.reading

    def _is_usable(self, reading: Reading, g: Generation) -> bool:
        fresh = timedelta() <= self._clock() - reading.at < _FRESH
        return fresh and (reading.matches is None or g.id in reading.matches)

    async def _matches(self, endpoint: str, bill: _Bill) -> dict[str, Match] | None:
        """Read the billing events before the candidates: submits made later cannot appear in these events."""
        now = self._clock()
        unconfirmed, submitting = await self._unconfirmed_and_submitting(endpoint)
        oldest = min((one.submitted_at for one in (*unconfirmed, *submitting)), default=now) - SKEW
        if oldest < now - _LONGEST_RANGE:
            return None
        try:
            events = await self._billing.events(endpoint, start=oldest, end=now)
        except UpstreamUnavailable as error:
            metrics.RECONCILIATIONS.labels("upstream_unavailable").inc()
            self._log.warning("billing_unavailable", endpoint_id=endpoint, reason=error.detail)
            return None
        unconfirmed, submitting = await self._unconfirmed_and_submitting(endpoint)
        # After the unconfirmed: a generation that is given up between the two reads is in both lists, not in none.
        given_up = await self._given_up(endpoint)
        bill.reported &= {one.id for one in unconfirmed}
        return matches(unconfirmed, submitting + given_up, await self._unclaimed(events))

    async def _unconfirmed_and_submitting(self, endpoint: str) -> tuple[list[Suspect], list[Suspect]]:
        """Return the unconfirmed generations, and those being submitted: fal may have billed these as well."""
        unconfirmed, submitting = [], []
        for g in await self._generations.load_many(await self._submissions.in_doubt()):
            if g is not None and g.submitted_at is not None and self._endpoint(g) == endpoint:
                candidate = suspect(g, g.submitted_at, self._prices.known(g.model))
                if g.status is Status.UNCONFIRMED:
                    unconfirmed.append(candidate)
                elif g.status is Status.SUBMITTING:
                    submitting.append(candidate)
        return unconfirmed, submitting

    async def _given_up(self, endpoint: str) -> list[Suspect]:
        """Return generations that were given up: fal may have billed them within the longest time that it can take.

        The endpoint of one whose record is purged is not known: its bill may be any.
        """
        given_up = await self._submissions.given_up()
        records = await self._generations.load_many([name for name, _ in given_up])
        suspects = [
            Suspect(name, since) if g is None else suspect(g, since, self._prices.known(g.model))
            for (name, since), g in zip(given_up, records, strict=True)
            if g is None or self._endpoint(g) == endpoint
        ]
        return [replace(one, until=one.submitted_at + self._upstream_deadline + SKEW) for one in suspects]

    async def _unclaimed(self, events: Sequence[BillingEvent]) -> list[BillingEvent]:
        """Return the billing events whose request id belongs to no generation."""
        request_ids = sorted({event.request_id for event in events if event.request_id is not None})
        known = await self._submissions.find_known(request_ids)
        return [event for event in events if event.request_id not in known]
