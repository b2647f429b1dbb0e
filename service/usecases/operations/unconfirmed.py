"""Unconfirmed and given-up generations: list, adopt, dismiss and revive them, for operators."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from service.clock import Clock
from service.domain import ids, transitions
from service.domain.generation import Generation
from service.domain.generation_view import rfc3339
from service.domain.outcomes import UpstreamError
from service.domain.status import Status
from service.errors import (
    FieldError,
    Invalid,
    NotGivenUp,
    NotUnconfirmed,
    RequestIdTaken,
    UpstreamUnavailable,
)
from service.observability import log
from service.store.generations.callbacks import CallbackStore
from service.store.generations.generations import GenerationStore
from service.store.generations.submissions import SubmissionStore
from service.store.queues.tenant_queue import QueueStore
from service.upstream.client import FalClient
from service.upstream.messages import is_unknown, status_outcome
from service.usecases.generations.ownership import generation_not_found
from service.usecases.lifecycle.schedule import Schedule
from service.usecases.lifecycle.transition_service import Transition, TransitionService
from service.usecases.trail.recording import note, note_target, note_values

#: The most generations that one call dismisses. The caller repeats the call until none is left.
MOST_DISMISSED: Final = 200


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    generation: Generation
    since: datetime
    deadline: datetime


@dataclass(frozen=True, slots=True)
class PaidAndLost:
    """A given-up generation, and when fal reported or may have billed its video."""

    generation: Generation
    since: datetime


@dataclass(frozen=True, slots=True)
class Dismissed:
    """How many generations one call dismissed, and how many of the same period may be left."""

    dismissed: int
    left: int


class UnconfirmedService:
    def __init__(
        self,
        generations: GenerationStore,
        queue: QueueStore,
        submissions: SubmissionStore,
        callbacks: CallbackStore,
        transition_service: TransitionService,
        fal: FalClient,
        schedule: Schedule,
        *,
        clock: Clock,
    ) -> None:
        self._generations = generations
        self._queue = queue
        self._submissions = submissions
        self._callbacks = callbacks
        self._transitions = transition_service
        self._fal = fal
        self._schedule = schedule
        self._clock = clock
        self._log = log.get(__name__)

    async def get(self, generation_id: str) -> Generation:
        """Return a generation of any tenant. Raises NotFound."""
        g = await self._generations.load(generation_id) if ids.is_id(ids.GENERATION, generation_id) else None
        if g is None:
            raise generation_not_found()
        return g

    async def unconfirmed(self, *, limit: int) -> tuple[list[Unconfirmed], int]:
        """Return the oldest unconfirmed generations, at most ``limit``, and the count of all."""
        known = await self._queue.unconfirmed(limit=limit)
        records = await self._generations.load_many([name for name, _ in known])
        now = self._clock()
        found = [
            Unconfirmed(g, since, self._schedule.deadline(g, now))
            for (_, since), g in zip(known, records, strict=True)
            if g is not None and g.status is Status.UNCONFIRMED
        ]
        return found, await self._queue.unconfirmed_count()

    async def resolve(
        self, generation_id: str, reason: str, *, request_id: str | None, unchecked: bool = False
    ) -> Generation:
        """Adopt the fal request id; without one, dismiss the submit. Raises as ``adopt`` and ``dismiss``."""
        if request_id is None:
            return await self.dismiss(generation_id, reason)
        return await self.adopt(generation_id, request_id, reason, unchecked=unchecked)

    async def adopt(self, generation_id: str, request_id: str, reason: str, *, unchecked: bool = False) -> Generation:
        """Set the fal request id of an unconfirmed generation. From then on it is polled like any other.

        Raises:
            NotFound: there is no such generation.
            NotUnconfirmed: the generation is not unconfirmed.
            RequestIdTaken: the request id belongs to another generation.
            Invalid: fal has no such request.
            UpstreamUnavailable: fal did not answer the check; never raised if ``unchecked``.

        """
        _require_unconfirmed(await self.get(generation_id))
        if await self._submissions.find_known([request_id]):
            raise RequestIdTaken("This request id belongs to another generation.")
        await self._check(request_id, unchecked=unchecked)
        return await self._apply(generation_id, lambda g: transitions.adopt(g, request_id, self._clock()), reason)

    async def dismiss(self, generation_id: str, reason: str) -> Generation:
        """Declare that fal accepted no submit: the generation fails at no cost. Raises NotFound, NotUnconfirmed."""
        return await self._apply(generation_id, lambda g: transitions.dismiss(g, self._clock()), reason)

    async def dismiss_all(self, before: datetime, reason: str) -> Dismissed:
        """Dismiss the unconfirmed generations that were submitted before a time, at most ``MOST_DISMISSED``.

        A generation that fal has reported meanwhile is not dismissed: its next poll ends it.
        """
        known = await self._queue.unconfirmed(limit=MOST_DISMISSED + 1)
        found = [name for name, since in known if since < before]
        count = 0
        for name in found[:MOST_DISMISSED]:
            moved = await self._transitions.apply(
                name,
                lambda g: transitions.dismiss(g, self._clock()),
                why=reason,
            )
            count += moved is not None
        note(dismissed=count, before=rfc3339(before))
        self._log.warning("unconfirmed_dismissed", count=count, before=rfc3339(before), reason=reason)
        return Dismissed(count, len(found) - count)

    async def paid_and_lost(self, *, limit: int) -> tuple[list[PaidAndLost], int]:
        """Return given-up generations whose video fal reported or may have billed, oldest first; and their count."""
        known, count = await self._callbacks.paid_and_lost(limit=limit)
        records = await self._generations.load_many([name for name, _ in known])
        return [PaidAndLost(g, since) for (_, since), g in zip(known, records, strict=True) if g is not None], count

    async def revive(self, generation_id: str, reason: str, *, request_id: str | None = None) -> Generation:
        """Follow a given-up generation again: reverse its settlement, hold its cost, and poll it to its end.

        ``request_id`` is the fal request id, required if neither a callback nor the record has it.

        Raises:
            NotFound: there is no such generation.
            NotGivenUp: it was not given up, or it has changed meanwhile.
            Invalid: the fal request id is not known.
            RequestIdTaken: the request id belongs to another generation.
            TenantDeleted: its tenant was deleted.

        """
        await self.get(generation_id)
        g, callback = await self._callbacks.load(generation_id)
        if g is None or not g.is_given_up:
            raise NotGivenUp("Only a generation that failed by a deadline, or unconfirmed, can be revived.")
        known = request_id or g.request_id or (None if callback is None else callback.request_id)
        if known is None:
            raise Invalid(FieldError("/fal_request_id", "is required: fal's request id is not known", "missing"))
        revived = await self._transitions.revive(g, known, why=reason)
        if revived is None:
            raise NotGivenUp("The generation has changed meanwhile; read it again.")
        note_target(generation_id, tenant_id=revived.tenant_id)
        note_values(status=(g.status, revived.status), fal_request_id=(g.request_id, known))
        self._log.warning("generation_revived", generation_id=generation_id, fal_request_id=known, reason=reason)
        return revived

    async def _check(self, request_id: str, *, unchecked: bool) -> None:
        result = await self._fal.status(request_id)
        if is_unknown(result):
            raise Invalid(FieldError("/fal_request_id", "fal has no request with this id", "unknown_request"))
        outcome = status_outcome(result)
        if isinstance(outcome, UpstreamError) and not unchecked:
            raise UpstreamUnavailable(
                f"fal does not say whether it has this request ({outcome.reason}); 'unchecked' adopts it nevertheless."
            )

    async def _apply(self, generation_id: str, transition: Transition, reason: str) -> Generation:
        before = await self.get(generation_id)
        note_target(generation_id, tenant_id=before.tenant_id)
        moved = await self._transitions.apply(generation_id, lambda g: transition(_require_unconfirmed(g)), why=reason)
        if moved is None:
            raise NotUnconfirmed("fal has reported this generation meanwhile; its next poll ends it.")
        note_target(generation_id, tenant_id=moved.tenant_id)
        note_values(status=(Status.UNCONFIRMED, moved.status), fal_request_id=(before.request_id, moved.request_id))
        self._log.warning("submit_resolved", generation_id=generation_id, status=moved.status, reason=reason)
        return moved


def _require_unconfirmed(g: Generation) -> Generation:
    if g.status is not Status.UNCONFIRMED:
        raise NotUnconfirmed(f"Only an unconfirmed generation can be resolved; this one is {g.public_status}.")
    return g
