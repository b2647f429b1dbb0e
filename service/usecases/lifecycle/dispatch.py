"""Sending queued generations upstream, each at most once."""

from datetime import datetime, timedelta
from typing import Any, Final

from service.clock import Clock
from service.domain import callback, transitions
from service.domain.dispatch_gate import Ramp
from service.domain.generation import Generation
from service.domain.outcomes import Accepted, Locked, NotSubmitted, Rejected, SubmitOutcome, Unknown
from service.errors import StoreUnavailable
from service.observability import log, metrics, tracing
from service.store.gate.gate import Noted
from service.store.generations.callbacks import CallbackStore
from service.store.queues.due import Claim, Claimed
from service.store.queues.tenant_queue import QueueStore
from service.upstream.client import FalClient
from service.upstream.messages import submit_outcome
from service.usecases.lifecycle.dispatch_gate import DispatchGate
from service.usecases.lifecycle.leases import LEASE
from service.usecases.lifecycle.preflight import Preflight
from service.usecases.lifecycle.transition_service import Transition, TransitionService
from service.usecases.log_context import bind_generation

#: A process that was stopped for longer between intent and POST does not send: its intent is soon given up as lost.
_MAX_INTENT_AGE: Final = timedelta(seconds=10)


class Dispatch:
    def __init__(
        self,
        queue: QueueStore,
        callbacks: CallbackStore,
        moves: TransitionService,
        fal: FalClient,
        gate: DispatchGate,
        preflight: Preflight | None,
        *,
        clock: Clock,
        slots: int,
        ramp: Ramp,
        refusals: int,
        public_url: str | None,
    ) -> None:
        """``refusals``: submits that fal may refuse while it accepts others', before the generation fails alone."""
        self._queue = queue
        self._callbacks = callbacks
        self._transitions = moves
        self._fal = fal
        self._gate = gate
        self._preflight = preflight
        self._clock = clock
        self._slots = slots
        self._ramp = ramp
        self._refusals = refusals
        self._public_url = public_url
        self._log = log.get(__name__)

    async def claim(self, most: int) -> Claim:
        return await self._queue.claim(now=self._clock(), most=most, lease=LEASE, slots=self._slots, ramp=self._ramp)

    async def submit(self, item: Claimed) -> bool:
        """Submit a claimed generation; True: what the limit of submits under way kept back may be claimed."""
        outcome = await self._submit(item)
        return await self._gate.leave(item.id) if outcome is None else outcome.wanted

    async def _submit(self, item: Claimed) -> Noted | None:
        """Intent, POST, outcome. Between the first and the last, only this coroutine knows what happened.

        None: nothing was sent.
        """
        if self._preflight is not None and not await self._preflight.passes(item.id):
            return None
        meant_at = self._clock()
        g = await self._intend(item.id, meant_at)
        if g is None:
            return None  # ended meanwhile, or in another worker's hands: whoever moved it has set what it waits for
        bind_generation(g)
        if self._clock() - meant_at > _MAX_INTENT_AGE:
            await self._conclude(g.id, meant_at, lambda current: transitions.after_not_sent(current, self._clock()))
            return None
        metrics.SECONDS_TO_SUBMIT.observe((meant_at - g.created_at).total_seconds())
        with tracing.span("generation.submit", parent=g.traceparent, generation=g.id, tenant=g.tenant_id) as span:
            outcome = submit_outcome(await self._fal.submit(arguments(g), webhook_url=self._callback_url(g)))
            span.note(outcome=type(outcome).__name__.lower(), tries=g.submits_refused + 1)
            self._tell(g, outcome)
            return await self._settle(g, meant_at, outcome)

    async def _settle(self, g: Generation, meant_at: datetime, outcome: SubmitOutcome) -> Noted:
        """Write down the outcome. The gate knows a failure first: no submit may follow as if there had been none."""

        def settle(current: Generation) -> Generation | None:
            return transitions.after_submit(current, outcome, self._clock())

        if isinstance(outcome, Accepted | Rejected):
            await self._conclude(g.id, meant_at, settle)
            return await self._gate.note(outcome, g)
        noted, reason = await self._gate.note(outcome, g), outcome.reason
        if noted.refusals < self._refusals:
            await self._conclude(g.id, meant_at, settle)
        else:
            await self._conclude(
                g.id, meant_at, lambda current: transitions.after_refusals(current, reason, self._clock())
            )
        return noted

    async def _intend(self, generation_id: str, now: datetime) -> Generation | None:
        """Write down that it is about to be sent; None: it shall not be, or nobody knows whether that was written."""
        read, reported = await self._callbacks.load(generation_id)
        if reported is not None:
            return None  # refused, and taken nevertheless: its poll is due, and adopts what fal has
        try:
            return await self._transitions.apply(generation_id, lambda g: transitions.begin_submit(g, now), read=read)
        except StoreUnavailable:
            await self._conclude(generation_id, now, lambda g: transitions.after_not_sent(g, self._clock()))
            return None

    async def _conclude(self, generation_id: str, meant_at: datetime, verb: Transition) -> None:
        """What became of the submit that was meant then, and of no other.

        Where the store did not answer, it may be back in the queue already, and in the midst of its next submit.
        """
        await self._transitions.apply_with_retry(
            generation_id, lambda g: verb(g) if g.submitted_at == meant_at else None
        )

    def _callback_url(self, g: Generation) -> str | None:
        return None if self._public_url is None else callback.address(self._public_url, g)

    def _tell(self, g: Generation, outcome: SubmitOutcome) -> None:
        match outcome:
            case Accepted(request_id):
                # The one line from which an operator can save a job whose record could not be written.
                self._log.info("submitted", generation_id=g.id, fal_request_id=request_id)
            case NotSubmitted(reason) | Locked(reason):
                self._log.warning("fal did not take it", generation_id=g.id, reason=reason)
            case Unknown(reason):
                self._log.error("submit of unknown outcome", generation_id=g.id, reason=reason)
            case Rejected(failure):
                self._log.info("fal refused it", generation_id=g.id, code=failure.code)


def arguments(g: Generation) -> dict[str, Any]:
    """The body of the submit: the caller's input, and the end user by pseudonym only."""
    return {**g.input, "end_user_id": g.end_user}
