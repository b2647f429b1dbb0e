"""Finding the request ids of unconfirmed submits among what fal billed. Where it is not certain, nothing is done."""

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

#: How long one reading serves: those that are due together share it.
_FRESH: Final = timedelta(seconds=5)
#: fal tells of no longer range.
_LONGEST_RANGE: Final = timedelta(days=90)

Outcome = Literal["adopted", "ambiguous", "absent", "unbilled", "trouble"]
"""``absent``: no bill so far. ``unbilled``: none, after all the time that fal may take."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What fal's bill said at a moment about those that were in doubt then; None: it could not be read."""

    at: datetime
    found: Mapping[str, Match] | None


class Reconciliation:
    def __init__(
        self,
        billing: FalBilling,
        generations: GenerationStore,
        submissions: SubmissionStore,
        moves: TransitionService,
        *,
        every: timedelta,
        upstream_deadline: timedelta,
        clock: Clock,
    ) -> None:
        self.every = every
        self._billing = billing
        self._generations = generations
        self._submissions = submissions
        self._transitions = moves
        self._upstream_deadline = upstream_deadline
        self._clock = clock
        self._reading: Reading | None = None
        self._one_at_a_time = asyncio.Lock()
        self._told: set[str] = set()
        """Whose ambiguity was logged."""
        self._log = log.get(__name__)

    async def look(self, g: Generation) -> Outcome:
        """Adopt the one request that can only be its own, if there is one."""
        if g.model != self._billing.endpoint_id:
            return self._ambiguous(g)  # sent when another model was set: this is not its bill
        found = (await self._read(g)).found
        match None if found is None else found.get(g.id):
            case None:
                return "trouble"
            case Adopted(request_id):
                return await self._adopt(g, request_id)
            case "ambiguous":
                return self._ambiguous(g)
            case "absent":
                over = g.submitted_at is not None and self._clock() - g.submitted_at >= self._upstream_deadline
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
            self._log.warning("found at fal by its bill", generation_id=g.id, fal_request_id=request_id)
        return "adopted"  # or moved on by somebody else, which is as good

    def _ambiguous(self, g: Generation) -> Outcome:
        if g.id not in self._told:
            self._told.add(g.id)
            metrics.RECONCILIATIONS.labels("ambiguous").inc()
            self._log.error("billed jobs may be its own or another's: resolve it", generation_id=g.id)
        return "ambiguous"

    async def _read(self, g: Generation) -> Reading:
        async with self._one_at_a_time:
            if self._reading is None or not self._serves(self._reading, g):
                found = await self._found()
                self._reading = Reading(self._clock(), found)
            return self._reading

    def _serves(self, reading: Reading, g: Generation) -> bool:
        fresh = timedelta() <= self._clock() - reading.at < _FRESH
        return fresh and (reading.found is None or g.id in reading.found)

    async def _found(self) -> dict[str, Match] | None:
        """The bill is read first: whoever was sent after that has nothing on it."""
        now = self._clock()
        unconfirmed, submitting = await self._in_doubt()
        oldest = min((one.submitted_at for one in (*unconfirmed, *submitting)), default=now) - SKEW
        if oldest < now - _LONGEST_RANGE:
            return None
        try:
            events = await self._billing.events(start=oldest, end=now)
        except UpstreamUnavailable as error:
            metrics.RECONCILIATIONS.labels("upstream_unavailable").inc()
            self._log.warning("no billing events", reason=error.detail)
            return None
        unconfirmed, submitting = await self._in_doubt()
        given_up = await self._given_up()  # after those in doubt, so that none is missed that goes from there to here
        self._told &= {one.id for one in unconfirmed}
        return matches(unconfirmed, submitting + given_up, await self._unclaimed(events))

    async def _in_doubt(self) -> tuple[list[Suspect], list[Suspect]]:
        """The unconfirmed, and those being submitted, whom fal may have billed as well."""
        unconfirmed, submitting = [], []
        for g in await self._generations.load_many(await self._submissions.in_doubt()):
            if g is not None and g.submitted_at is not None:
                one = suspect(g.id, g.submitted_at, g.input)
                if g.status is Status.UNCONFIRMED:
                    unconfirmed.append(one)
                elif g.status is Status.SUBMITTING:
                    submitting.append(one)
        return unconfirmed, submitting

    async def _given_up(self) -> list[Suspect]:
        """Those declared to have ended may have been billed all the same, within the time that fal may take."""
        given_up = await self._submissions.given_up()
        records = await self._generations.load_many([name for name, _ in given_up])
        return [
            replace(suspect(name, since, {} if g is None else g.input), until=since + self._upstream_deadline + SKEW)
            for (name, since), g in zip(given_up, records, strict=True)
        ]

    async def _unclaimed(self, events: Sequence[BillingEvent]) -> list[BillingEvent]:
        named = sorted({event.request_id for event in events if event.request_id is not None})
        ours = await self._submissions.ours(named)
        return [event for event in events if event.request_id not in ours]
