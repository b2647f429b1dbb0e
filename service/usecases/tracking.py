"""Following generations that fal has, by polling: the guarantee. A callback makes a poll due at once, and shorter."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from service import log, metrics, tracing
from service.domain.callback import Callback
from service.domain.drain import Drain
from service.domain.generation import UPSTREAM, Generation, LogLine, Status
from service.domain.price import Rates
from service.fal.client import FalClient
from service.fal.messages import cancel_outcome, status_outcome
from service.fal.outcomes import (
    Canceled,
    Completed,
    Failed,
    NotYet,
    ResultOutcome,
    Running,
    Succeeded,
    Trouble,
    Waiting,
)
from service.fal.results import callback_outcome, result_outcome
from service.store.callbacks import CallbackStore
from service.store.due import Claim, Claimed, DueStore
from service.store.generations import GenerationStore
from service.usecases.bills import Bills
from service.usecases.gate import DispatchGate
from service.usecases.keeping import Keeping
from service.usecases.moves import Clock, Moves
from service.usecases.telling import about
from service.usecases.timetable import Timetable

#: Longer than a poll with its result can take.
LEASE: Final = timedelta(seconds=120)


class Tracking:
    def __init__(
        self,
        generations: GenerationStore,
        callbacks: CallbackStore,
        due: DueStore,
        moves: Moves,
        fal: FalClient,
        gate: DispatchGate,
        keeping: Keeping,
        timetable: Timetable,
        *,
        bills: Bills,
        rates: Rates,
        clock: Clock,
    ) -> None:
        self._generations = generations
        self._callbacks = callbacks
        self._due = due
        self._moves = moves
        self._fal = fal
        self._gate = gate
        self._keeping = keeping
        self._timetable = timetable
        self._bills = bills
        self._rates = rates
        self._clock = clock
        self._log = log.get(__name__)

    async def claim(self, most: int) -> Claim:
        claim = await self._due.claim(Drain.POLL, now=self._clock(), most=most, lease=LEASE)
        self._timetable.in_flight = claim.waiting
        return claim

    async def poll(self, item: Claimed) -> None:
        """One look at one generation."""
        metrics.POLL_LATE_SECONDS.observe((self._clock() - item.due_at).total_seconds())
        g, callback = await self._callbacks.load(item.id)
        if g is None:
            return
        about(g)
        with tracing.span("generation.poll", parent=g.traceparent, generation=g.id, tenant=g.tenant_id) as span:
            await self._look(g, callback, span)

    async def _look(self, g: Generation, callback: Callback | None, span: tracing.Span) -> None:
        known: Generation | None = g
        if callback is not None:
            known = await self._adopt(g, callback.request_id)
        if known is None or known.status not in UPSTREAM or known.request_id is None:
            span.forget()
            return  # it ended between claim and look; whoever moved it has set what it waits for
        if known.copying is not None:
            span.forget()  # the copy has its own
            if callback is not None:
                await self._callbacks.forget(known.id)  # it came after the result, and would hold up the next try
            await self._keeping.keep(known, known.copying)
            return
        reported = None if callback is None else await self._reported(known, callback)
        if reported is not None:
            span.note(outcome="callback")
            await self._end_reported(known, known.request_id, reported)
            return
        cancels = known.cancel_requested_at is not None and known.cancel_sent_at is None
        if cancels:
            await self._pass_on_cancel(known, known.request_id)
        outcome = status_outcome(await self._fal.status(known.request_id))
        span.note(outcome=type(outcome).__name__.lower())
        if not cancels and _is_old_news(known, outcome):
            span.forget()  # hundreds of a long job's polls
        if isinstance(outcome, Trouble) and outcome.locked:
            await self._gate.locked(outcome.reason)
        if isinstance(outcome, Completed):
            await self._end(known, result_outcome(await self._fal.result(known.request_id)), outcome.logs)
        else:
            await self._note(known, outcome)

    async def _adopt(self, g: Generation, request_id: str) -> Generation | None:
        """A submit of which nobody heard has reached fal after all: fal itself says so, and under which id."""
        if adopted(g, request_id, self._clock()) is None:
            return g
        moved = await self._moves.apply(g.id, lambda now: adopted(now, request_id, self._clock()))
        return moved or await self._generations.load(g.id)

    async def _reported(self, g: Generation, callback: Callback) -> Succeeded | Failed | Canceled | None:
        """How it ended by its callback. One that does not say, or is about another request, is done with here."""
        if callback.request_id != g.request_id:
            metrics.CALLBACKS.labels("other_request").inc()
            self._log.error(
                "callback of another request, perhaps a second submit",
                generation_id=g.id,
                request_id=g.request_id,
                reported_request_id=callback.request_id,
            )
        elif (outcome := callback_outcome(callback)) is not None:
            return outcome
        await self._callbacks.forget(g.id)
        return None

    async def _pass_on_cancel(self, g: Generation, request_id: str) -> None:
        if cancel_outcome(await self._fal.cancel(request_id)) == "trouble":
            return  # told again at the next poll
        await self._moves.apply(
            g.id, lambda now: now.cancel_passed_on(self._clock()) if now.status in UPSTREAM else None
        )

    async def _note(self, g: Generation, outcome: Waiting | Running | Trouble) -> None:
        """Write down what was seen; where it was nothing new, only the next poll's time."""
        if self._seen(g, outcome) is g:
            await self._generations.postpone_poll(g.id, self._timetable.next_poll(g, self._clock()))
            return
        await self._moves.apply(g.id, lambda now: self._seen(now, outcome) if now.status in UPSTREAM else None)

    def _seen(self, g: Generation, outcome: Waiting | Running | Trouble) -> Generation:
        match outcome:
            case Trouble(reason):
                self._log.warning("poll without an answer", generation_id=g.id, reason=reason)
                return g.troubled()
            case Waiting(position, logs):
                return g.seen(position=position, logs=logs)
            case Running(logs):
                seen = g.seen(position=None, logs=logs)
                return seen.started(self._clock()) if seen.status is Status.SUBMITTED else seen

    async def _end_reported(self, g: Generation, request_id: str, reported: Succeeded | Failed | Canceled) -> None:
        """Only the result names what was billed; where it is not to be had, what a callback reported has to do.

        The last lines of fal's log come beside it.
        """
        status, wire = await asyncio.gather(self._fal.status(request_id), self._fal.result(request_id))
        result, seen = result_outcome(wire), status_outcome(status)
        logs = () if isinstance(seen, Trouble) else seen.logs
        await self._end(g, result if is_verdict(result) else reported, logs)

    async def _end(self, g: Generation, result: ResultOutcome, logs: tuple[LogLine, ...]) -> None:
        """Completed: the result is fetched at once, fal may forget it within minutes."""
        moved = await self._moves.apply(
            g.id, lambda now: self._ended(now, result, logs) if _is_open(now) else None, read=g
        )
        if moved is not None:
            await self._bills.observe(moved, result)

    def _ended(self, g: Generation, result: ResultOutcome, logs: tuple[LogLine, ...]) -> Generation:
        now = self._clock()
        match result:
            case Succeeded(output, units):
                seen, cost = g.seen(position=None, logs=logs), self._cost(g, units, presumed=True)
                if self._keeping.wants(g):
                    return seen.ended_upstream(output, cost, now, units=units)
                return seen.succeeded(output, cost, now, units=units)
            case Failed(failure, units, presumed):
                return g.seen(position=None, logs=logs).failed(
                    failure, self._cost(g, units, presumed=presumed), now, units=units
                )
            case Canceled(units):
                return g.seen(position=None, logs=logs).canceled(self._cost(g, units, presumed=False), now, units=units)
            case Trouble():
                return self._seen(g, result)
            case _:
                return g.troubled()  # COMPLETED, but the result says "still in progress"

    def _cost(self, g: Generation, units: Decimal | None, *, presumed: bool) -> int:
        if units is None and not presumed:
            return 0
        return self._rates.settle(g.input["resolution"], units, g.estimated_cost).cost


def _is_open(g: Generation) -> bool:
    """Whether fal's word on it is still to come."""
    return g.status in UPSTREAM and g.copying is None


def adopted(g: Generation, request_id: str, now: datetime) -> Generation | None:
    """What a request id that fal reports makes of a generation; None where it has one, or has ended.

    Queued again after a refusal, it was taken nevertheless: sending it once more would be paying twice.
    """
    match g.status:
        case Status.QUEUED:
            return g.submitting(now).submitted(request_id)
        case Status.SUBMITTING:
            return g.submitted(request_id)
        case Status.UNCONFIRMED:
            return g.adopted(request_id, now)
    return None


def _is_old_news(g: Generation, outcome: Waiting | Running | Trouble | Completed) -> bool:
    """For a trace: it changes no status, and is not the first in a row without an answer."""
    match outcome:
        case Waiting():
            return True
        case Running():
            return g.status is Status.IN_PROGRESS
        case Trouble():
            return g.polls_troubled > 0
    return False


def is_verdict(result: ResultOutcome) -> bool:
    """Whether it says how the generation ended, as opposed to that nobody knows, yet or any more."""
    return not isinstance(result, Trouble | NotYet) and not (isinstance(result, Failed) and result.presumed_billed)
