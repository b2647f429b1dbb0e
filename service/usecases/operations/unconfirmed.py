"""What an operator does about submits of unknown outcome: sees them, and says what became of them."""

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
    NotFound,
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
from service.usecases.lifecycle.schedule import Schedule
from service.usecases.lifecycle.transition_service import Transition, TransitionService

#: Generations that one call dismisses at most; the caller repeats it until none is left.
MOST_DISMISSED: Final = 200


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    generation: Generation
    since: datetime
    deadline: datetime


@dataclass(frozen=True, slots=True)
class PaidAndLost:
    """A generation that was given up, and when fal reported its video."""

    generation: Generation
    since: datetime


@dataclass(frozen=True, slots=True)
class Dismissed:
    """How many one call dismissed, and how many unconfirmed ones of that time may be left."""

    dismissed: int
    left: int


class UnconfirmedService:
    def __init__(
        self,
        generations: GenerationStore,
        queue: QueueStore,
        submissions: SubmissionStore,
        callbacks: CallbackStore,
        moves: TransitionService,
        fal: FalClient,
        schedule: Schedule,
        *,
        clock: Clock,
    ) -> None:
        self._generations = generations
        self._queue = queue
        self._submissions = submissions
        self._callbacks = callbacks
        self._transitions = moves
        self._fal = fal
        self._schedule = schedule
        self._clock = clock
        self._log = log.get(__name__)

    async def get(self, generation_id: str) -> Generation:
        """Any tenant's. Raises NotFound."""
        g = await self._generations.load(generation_id) if ids.is_id(ids.GENERATION, generation_id) else None
        if g is None:
            raise NotFound("There is no such generation.")
        return g

    async def unconfirmed(self, *, limit: int) -> tuple[list[Unconfirmed], int]:
        """The oldest first, and how many there are in all."""
        known = await self._queue.unconfirmed(limit=limit)
        records = await self._generations.load_many([name for name, _ in known])
        now = self._clock()
        found = [
            Unconfirmed(g, since, self._schedule.deadline(g, now))
            for (_, since), g in zip(known, records, strict=True)
            if g is not None and g.status is Status.UNCONFIRMED
        ]
        return found, await self._queue.unconfirmed_count()

    async def adopt(self, generation_id: str, request_id: str, reason: str, *, unchecked: bool = False) -> Generation:
        """Take this for its request at fal: it is followed from here on like any other.

        Raises:
            NotFound, NotUnconfirmed: there is nothing to resolve.
            RequestIdTaken: the request is another generation's.
            Invalid: fal has no such request.
            UpstreamUnavailable: fal does not say; never raised when ``unchecked``.

        """
        _must_be_unconfirmed(await self.get(generation_id))
        if await self._submissions.ours([request_id]):
            raise RequestIdTaken("This request id belongs to another generation.")
        await self._check(request_id, unchecked=unchecked)
        return await self._move(generation_id, lambda g: transitions.adopt(g, request_id, self._clock()), reason)

    async def dismiss(self, generation_id: str, reason: str) -> Generation:
        """Declare that fal never took it: it fails at no cost. Raises NotFound, NotUnconfirmed."""
        await self.get(generation_id)
        return await self._move(generation_id, lambda g: transitions.dismiss(g, self._clock()), reason)

    async def dismiss_all(self, before: datetime, reason: str) -> Dismissed:
        """The same of every unconfirmed generation that was submitted before, a bounded number in one call.

        One of which fal has reported meanwhile is left to its poll.
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
        self._log.warning("unconfirmed_dismissed", count=count, before=rfc3339(before), reason=reason)
        return Dismissed(count, len(found) - count)

    async def paid_and_lost(self, *, limit: int) -> tuple[list[PaidAndLost], int]:
        """Given-up generations of which fal reported or may have billed a video, the oldest first; and their count."""
        known, count = await self._callbacks.paid_and_lost(limit=limit)
        records = await self._generations.load_many([name for name, _ in known])
        return [PaidAndLost(g, since) for (_, since), g in zip(known, records, strict=True) if g is not None], count

    async def revive(self, generation_id: str, reason: str, *, request_id: str | None = None) -> Generation:
        """Follow a given-up generation again: it ends as fal says, and what was booked for it is booked anew.

        ``request_id``: fal's, where neither a callback nor the record names it.

        Raises:
            NotFound: there is no such generation.
            NotGivenUp: it was not given up, or it has changed meanwhile.
            Invalid: its request id is not known.
            RequestIdTaken: the request is another generation's.

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
        self._log.warning("revived by an operator", generation_id=generation_id, fal_request_id=known, reason=reason)
        return revived

    async def _check(self, request_id: str, *, unchecked: bool) -> None:
        wire = await self._fal.status(request_id)
        if is_unknown(wire):
            raise Invalid(FieldError("/fal_request_id", "fal has no request with this id", "unknown_request"))
        outcome = status_outcome(wire)
        if isinstance(outcome, UpstreamError) and not unchecked:
            raise UpstreamUnavailable(
                f"fal does not say whether it has this request ({outcome.reason}); 'unchecked' adopts it nevertheless."
            )

    async def _move(self, generation_id: str, verb: Transition, reason: str) -> Generation:
        moved = await self._transitions.apply(generation_id, lambda g: verb(_must_be_unconfirmed(g)), why=reason)
        if moved is None:
            await self.get(generation_id)
            raise NotUnconfirmed("fal has reported this generation meanwhile; its next poll ends it.")
        self._log.warning("resolved by an operator", generation_id=generation_id, status=moved.status, reason=reason)
        return moved


def _must_be_unconfirmed(g: Generation) -> Generation:
    if g.status is not Status.UNCONFIRMED:
        raise NotUnconfirmed(f"Only an unconfirmed generation can be resolved; this one is {g.public_status}.")
    return g
