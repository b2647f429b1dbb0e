"""Sending queued generations upstream, each at most once."""

from datetime import datetime, timedelta
from typing import Any, Final

from service import log, metrics
from service.domain import callback
from service.domain.generation import Generation, Status
from service.fal.client import FalClient
from service.fal.messages import submit_outcome
from service.fal.outcomes import Accepted, Locked, NotTaken, Rejected, SubmitOutcome, Unknown
from service.store.due import Claim, Claimed, DueStore
from service.usecases.moves import Clock, Moves

#: Covers the steps from the claim to the written intent; a worker that dies in between costs this much delay.
LEASE: Final = timedelta(seconds=15)


class Dispatch:
    def __init__(
        self, due: DueStore, moves: Moves, fal: FalClient, *, clock: Clock, slots: int, public_url: str | None
    ) -> None:
        self._due = due
        self._moves = moves
        self._fal = fal
        self._clock = clock
        self._slots = slots
        self._public_url = public_url
        self._log = log.get(__name__)

    async def claim(self, most: int) -> Claim:
        return await self._due.claim_with_slot(now=self._clock(), most=most, lease=LEASE, slots=self._slots)

    async def submit(self, item: Claimed) -> None:
        """Intent, POST, outcome. Between the first and the last, only this coroutine knows what happened."""
        g = await self._moves.apply(item.id, self._intent)
        if g is None:
            return  # ended meanwhile, or in another worker's hands: whoever moved it has set what it waits for
        metrics.SECONDS_TO_SUBMIT.observe((self._clock() - g.created_at).total_seconds())
        outcome = submit_outcome(await self._fal.submit(arguments(g), webhook_url=self._callback_url(g)))
        self._tell(g, outcome)
        await self._moves.apply_surely(g.id, lambda current: settled(current, outcome, self._clock()))

    def _intent(self, g: Generation) -> Generation | None:
        return g.submitting(self._clock()) if g.status is Status.QUEUED else None

    def _callback_url(self, g: Generation) -> str | None:
        return None if self._public_url is None else callback.address(self._public_url, g)

    def _tell(self, g: Generation, outcome: SubmitOutcome) -> None:
        match outcome:
            case Accepted(request_id):
                # The one line from which an operator can save a job whose record could not be written.
                self._log.info("submitted", generation_id=g.id, request_id=request_id)
            case NotTaken(reason) | Locked(reason):
                self._log.warning("fal did not take it", generation_id=g.id, reason=reason)
            case Unknown(reason):
                self._log.error("submit of unknown outcome", generation_id=g.id, reason=reason)
            case Rejected(failure):
                self._log.info("fal refused it", generation_id=g.id, code=failure.code)


def settled(g: Generation, outcome: SubmitOutcome, now: datetime) -> Generation | None:
    """What the outcome of its submit makes of a generation; None where the record has gone on without it."""
    match outcome:
        case Accepted(request_id):
            return g.submitted(request_id) if g.status in (Status.SUBMITTING, Status.UNCONFIRMED) else None
        case _ if g.status is not Status.SUBMITTING:
            return None
        case NotTaken() | Locked():
            return g.requeued() if g.cancel_requested_at is None else g.requeued().canceled(0, now)
        case Rejected(failure):
            return g.failed(failure, 0, now)
        case Unknown():
            return g.unconfirmed()


def arguments(g: Generation) -> dict[str, Any]:
    """The body of the submit: the caller's input, and the end user by pseudonym only."""
    return {**g.input, "end_user_id": g.end_user}
