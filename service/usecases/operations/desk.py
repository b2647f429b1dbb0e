"""Evidence about an unconfirmed submit: what was sent when, what fal called back, what fal billed in those minutes."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from service.clock import Clock
from service.domain.billing import SKEW, BillingEvent
from service.domain.callback import Callback
from service.domain.generation import Generation
from service.domain.models.registry import Registry
from service.domain.status import Status
from service.errors import NotUnconfirmed, UpstreamUnavailable
from service.store.generations.callbacks import CallbackStore
from service.store.generations.submissions import SubmissionStore
from service.upstream.billing import FalBilling
from service.usecases.generations.ownership import generation_not_found
from service.usecases.lifecycle.schedule import Schedule
from service.usecases.trail.recording import note_target

#: After the submit. fal bills a job at its end.
_BILLED_WITHIN: Final = timedelta(minutes=30)
_MOST_EVENTS: Final = 50
_PATIENCE: Final = 5.0
"""Seconds that a page waits for fal's billing API."""


@dataclass(frozen=True, slots=True)
class BilledJob:
    event: BillingEvent
    is_known: bool
    """Whether the request id belongs to a generation of this gateway."""


@dataclass(frozen=True, slots=True)
class Bill:
    """fal's billing events of the minutes after a submit, the oldest first."""

    jobs: tuple[BilledJob, ...] = ()
    more: int = 0
    """Events that are not listed."""
    fault: str | None = None
    """Why the events could not be read."""


@dataclass(frozen=True, slots=True)
class Evidence:
    generation: Generation
    deadline: datetime
    callback: Callback | None
    bill: Bill


class UnconfirmedDesk:
    def __init__(
        self,
        callbacks: CallbackStore,
        submissions: SubmissionStore,
        billing: FalBilling | None,
        models: Registry,
        schedule: Schedule,
        *,
        clock: Clock,
    ) -> None:
        self._callbacks = callbacks
        self._submissions = submissions
        self._billing = billing
        self._models = models
        self._schedule = schedule
        self._clock = clock

    async def read(self, generation_id: str) -> Evidence:
        """Return the evidence about a generation. Raises NotFound, NotUnconfirmed."""
        g, callback = await self._callbacks.load(generation_id)
        if g is None:
            raise generation_not_found()
        note_target(g.id, tenant_id=g.tenant_id)
        if g.status is not Status.UNCONFIRMED:
            raise NotUnconfirmed(f"This generation is {g.public_status}: there is nothing to resolve.")
        return Evidence(g, self._schedule.deadline(g, self._clock()), callback, await self._bill(g))

    async def _bill(self, g: Generation) -> Bill:
        if self._billing is None:
            return Bill(fault="GATEWAY_FAL_ADMIN_KEY is not set, without which fal shows no bill.")
        if g.submitted_at is None or g.model not in self._models.known:
            return Bill(fault="The endpoint or the time of the submit is not known.")
        start, end = g.submitted_at - SKEW, min(self._clock() + SKEW, g.submitted_at + _BILLED_WITHIN)
        try:
            async with asyncio.timeout(_PATIENCE):
                events = await self._billing.events(self._models.upstream(g.model), start=start, end=end)
        except (UpstreamUnavailable, TimeoutError):
            return Bill(fault="fal's billing API does not respond at the moment.")
        listed = sorted(events, key=lambda event: event.at or start)[:_MOST_EVENTS]
        known = await self._submissions.find_known([each.request_id for each in listed if each.request_id is not None])
        jobs = tuple(BilledJob(each, each.request_id in known) for each in listed)
        return Bill(jobs, more=len(events) - len(listed))
