"""Dispatch: submit queued generations to fal, each at most once.

The submit fence. ``submitted_at``, the time of the intent, identifies one submit. It makes sure that no crash, lost
reply or slow process causes a second paid submit, or records the outcome of one submit as that of another:

1. Before the paid request leaves, the intent is written by compare-and-set: ``queued`` -> ``submitting``, with
   ``submitted_at``. Of several processes that try, one wins.
2. If the reply to that write is lost, nothing is sent. The generation returns to the queue, if the record has this
   ``submitted_at``.
3. If the process was stopped for longer than ``MAX_INTENT_AGE`` between intent and request, nothing is sent: the
   intent may soon be declared lost.
4. The request is sent once, by a client that never retries.
5. The outcome is written only to a record with this ``submitted_at``. While Redis was unavailable, the generation may
   have returned to the queue and be in its next submit, whose outcome is another one.
6. If the process dies between 1 and 5, the sweeper declares the submit unconfirmed once it cannot be running any more.
   Only a proof that fal does not have the job returns a generation to the queue.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from service.clock import Clock
from service.domain import callback, drafts, transitions
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
from service.usecases.operations.metric_series import begin_work_of

#: A process that was stopped for longer between intent and request sends nothing: see the submit fence, 3.
MAX_INTENT_AGE: Final = timedelta(seconds=10)


class Dispatch:
    def __init__(
        self,
        queue: QueueStore,
        callbacks: CallbackStore,
        transition_service: TransitionService,
        fal: FalClient,
        gate: DispatchGate,
        preflight: Preflight | None,
        *,
        clock: Clock,
        slots: int,
        ramp: Ramp,
        refusals: int,
        public_url: str | None,
        max_intent_age: timedelta = MAX_INTENT_AGE,
    ) -> None:
        """``refusals``: after this many refused submits, while fal accepts those of others, the generation fails."""
        self._queue = queue
        self._callbacks = callbacks
        self._transitions = transition_service
        self._fal = fal
        self._gate = gate
        self._preflight = preflight
        self._clock = clock
        self._slots = slots
        self._ramp = ramp
        self._refusals = refusals
        self._public_url = public_url
        self.max_intent_age = max_intent_age
        self._log = log.get(__name__)

    async def claim(self, most: int) -> Claim:
        return await self._queue.claim(now=self._clock(), most=most, lease=LEASE, slots=self._slots, ramp=self._ramp)

    async def submit(self, item: Claimed) -> bool:
        """Submit a claimed generation. Return True if the submit window now has room for a generation that waits."""
        noted = await self._submit(item)
        return await self._gate.leave(item.id) if noted is None else noted.wanted

    async def _submit(self, item: Claimed) -> Noted | None:
        """Write the intent, send the request, write the outcome. Return None if nothing was sent.

        Between the request and the write of its outcome, only this coroutine has the outcome.
        """
        if self._preflight is not None and not await self._preflight.passes(item.id):
            return None
        intent_at = self._clock()
        g = await self.write_intent(item.id, intent_at)
        if g is None:
            return None  # it ended, or another worker has it: the process that moved it has set its next due time
        bind_generation(g)
        begin_work_of(g.tenant_id)
        if self._clock() - intent_at > self.max_intent_age:
            await self._conclude(
                g.id, intent_at, lambda current: transitions.after_not_sent(current, self._clock()), read=g
            )
            return None
        metrics.DISPATCH_WAIT_SECONDS.observe((intent_at - g.created_at).total_seconds())
        with tracing.span("generation.submit", parent=g.traceparent, generation=g.id, tenant=g.tenant_id) as span:
            wire = await self._fal.submit(arguments(g), model=g.model, webhook_url=self._callback_url(g))
            outcome = without_draft_id(submit_outcome(wire), g)
            span.annotate(outcome=type(outcome).__name__.lower(), tries=g.submit_refusals + 1)
            self._log_outcome(g, outcome)
            return await self.record_outcome(g, intent_at, outcome)

    async def record_outcome(self, g: Generation, intent_at: datetime, outcome: SubmitOutcome) -> Noted:
        """Write the outcome to the record and to the gate.

        A failure goes to the gate first: otherwise another submit could start as if there had been none.
        """

        def after_submit(current: Generation) -> Generation | None:
            return transitions.after_submit(current, outcome, self._clock())

        if isinstance(outcome, Accepted | Rejected):
            await self._conclude(g.id, intent_at, after_submit, read=g)
            return await self._gate.note(outcome, g)
        noted, reason = await self._gate.note(outcome, g), outcome.reason

        def after_refusals(current: Generation) -> Generation | None:
            return transitions.after_refusals(current, reason, self._clock())

        repeat = noted.refusals < self._refusals
        await self._conclude(g.id, intent_at, after_submit if repeat else after_refusals, read=g)
        return noted

    async def write_intent(self, generation_id: str, intent_at: datetime) -> Generation | None:
        """Write the intent. Return None if nothing may be sent: it was not written, or its write got no reply."""
        read, reported = await self._callbacks.load(generation_id)
        if reported is not None:
            return None  # fal refused it, and accepted it nevertheless: its poll is due, and adopts the fal request id
        try:
            return await self._transitions.apply(
                generation_id, lambda g: transitions.begin_submit(g, intent_at), read=read
            )
        except StoreUnavailable:
            await self._conclude(generation_id, intent_at, lambda g: transitions.after_not_sent(g, self._clock()))
            return None

    async def _conclude(
        self, generation_id: str, intent_at: datetime, transition: Transition, *, read: Generation | None = None
    ) -> None:
        """Write the outcome of the submit that was intended at ``intent_at``, and of no other (submit fence, 5).

        ``read``: the record as the intent has written it. If it has changed since, compare-and-set fails and reads it
        again.
        """
        await self._transitions.apply_with_retry(
            generation_id, lambda g: transition(g) if g.submitted_at == intent_at else None, read=read
        )

    def _callback_url(self, g: Generation) -> str | None:
        return None if self._public_url is None else callback.address(self._public_url, g)

    def _log_outcome(self, g: Generation, outcome: SubmitOutcome) -> None:
        match outcome:
            case Accepted(request_id):
                # From this line an operator can recover a job whose record could not be written.
                self._log.info("submitted", generation_id=g.id, fal_request_id=request_id)
            case NotSubmitted(reason) | Locked(reason):
                self._log.warning("submit_rejected_retryable", generation_id=g.id, reason=reason)
            case Unknown(reason):
                self._log.error("submit_unconfirmed", generation_id=g.id, reason=reason)
            case Rejected(failure):
                self._log.info("submit_rejected", generation_id=g.id, code=failure.code)


def without_draft_id(outcome: SubmitOutcome, g: Generation) -> SubmitOutcome:
    """Return the outcome without fal's id of the draft: reasons are logged and shown. A failure hides it itself."""
    if g.draft_id is None or isinstance(outcome, Accepted | Rejected):
        return outcome
    return replace(outcome, reason=outcome.reason.replace(g.draft_id, g.completes or ""))


def arguments(g: Generation) -> dict[str, Any]:
    """Return the body of the submit: the caller's input, and the end user by pseudonym only."""
    return {**drafts.arguments(g), "end_user_id": g.end_user}
