"""What an operator does about submits of unknown outcome: sees them, and says what became of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from service import log
from service.domain import ids
from service.domain.generation import Failure, Generation, Status
from service.errors import FieldError, Invalid, NotFound, NotUnconfirmed, RequestIdTaken, UpstreamUnavailable
from service.fal.client import FalClient
from service.fal.messages import is_unknown, status_outcome
from service.fal.outcomes import Trouble
from service.store.generations import GenerationStore
from service.store.queue import QueueStore
from service.store.submissions import SubmissionStore
from service.usecases.moves import Clock, Moves, Verb
from service.usecases.timetable import Timetable

_NEVER_HAPPENED: Final = Failure("submission_unconfirmed", "The upstream never took the request.", retryable=True)


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    generation: Generation
    since: datetime
    deadline: datetime


class Resolving:
    def __init__(
        self,
        generations: GenerationStore,
        queue: QueueStore,
        submissions: SubmissionStore,
        moves: Moves,
        fal: FalClient,
        timetable: Timetable,
        *,
        clock: Clock,
    ) -> None:
        self._generations = generations
        self._queue = queue
        self._submissions = submissions
        self._moves = moves
        self._fal = fal
        self._timetable = timetable
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
            Unconfirmed(g, since, self._timetable.deadline(g, now))
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
        return await self._move(generation_id, lambda g: g.adopted(request_id, self._clock()), reason)

    async def dismiss(self, generation_id: str, reason: str) -> Generation:
        """Declare that fal never took it: it fails at no cost. Raises NotFound, NotUnconfirmed."""
        await self.get(generation_id)
        return await self._move(generation_id, lambda g: g.failed(_NEVER_HAPPENED, 0, self._clock()), reason)

    async def _check(self, request_id: str, *, unchecked: bool) -> None:
        wire = await self._fal.status(request_id)
        if is_unknown(wire):
            raise Invalid(FieldError("/request_id", "fal has no request with this id", "unknown_request"))
        outcome = status_outcome(wire)
        if isinstance(outcome, Trouble) and not unchecked:
            raise UpstreamUnavailable(
                f"fal does not say whether it has this request ({outcome.reason}); 'unchecked' adopts it nevertheless."
            )

    async def _move(self, generation_id: str, verb: Verb, reason: str) -> Generation:
        moved = await self._moves.apply(generation_id, lambda g: verb(_must_be_unconfirmed(g)), why=reason)
        if moved is None:
            raise NotFound("There is no such generation.")
        self._log.warning("resolved by an operator", generation_id=generation_id, status=moved.status, reason=reason)
        return moved


def _must_be_unconfirmed(g: Generation) -> Generation:
    if g.status is not Status.UNCONFIRMED:
        raise NotUnconfirmed(f"Only an unconfirmed generation can be resolved; this one is {g.status}.")
    return g
