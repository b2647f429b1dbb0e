"""Poller: follows the jobs that fal has, by polls, until they end.

Polls alone end every job, with or without callbacks. A stored callback makes the poll due at once.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from service.clock import Clock
from service.domain import transitions
from service.domain.callback import Callback
from service.domain.generation import Generation, LogLine
from service.domain.outcomes import (
    Canceled,
    Completed,
    Failed,
    InQueue,
    Missing,
    NotReady,
    ResultOutcome,
    Running,
    StatusOutcome,
    Succeeded,
    UpstreamError,
)
from service.domain.pricing import Prices
from service.domain.status import UPSTREAM, Status
from service.domain.work_queue import WorkQueue
from service.observability import log, metrics, tracing
from service.store.generations.callbacks import CallbackStore
from service.store.generations.generations import GenerationStore
from service.store.queues.due import Claim, Claimed, DueStore
from service.upstream.client import FalClient
from service.upstream.messages import cancel_outcome, status_outcome
from service.upstream.results import callback_outcome, result_outcome
from service.usecases.lifecycle.dispatch_gate import DispatchGate
from service.usecases.lifecycle.leases import LEASE
from service.usecases.lifecycle.poll_pacer import PollPacer
from service.usecases.lifecycle.price_monitor import PriceMonitor
from service.usecases.lifecycle.schedule import LONGEST_POLL_OUTAGE, Schedule
from service.usecases.lifecycle.transition_service import TransitionService
from service.usecases.lifecycle.video_copier import VideoCopier
from service.usecases.log_context import bind_generation
from service.usecases.operations.metric_series import begin_work_of

#: Attempts to read the result, with the billed units, of a job that a callback has reported. They last about a minute.
_RESULT_ATTEMPTS: Final = 6


class Poller:
    def __init__(
        self,
        generations: GenerationStore,
        callbacks: CallbackStore,
        due: DueStore,
        transition_service: TransitionService,
        fal: FalClient,
        gate: DispatchGate,
        video_copier: VideoCopier,
        schedule: Schedule,
        pacer: PollPacer,
        *,
        price_monitor: PriceMonitor,
        prices: Prices,
        clock: Clock,
    ) -> None:
        self._generations = generations
        self._callbacks = callbacks
        self._due = due
        self._transitions = transition_service
        self._fal = fal
        self._gate = gate
        self._video_copier = video_copier
        self._schedule = schedule
        self._pacer = pacer
        self._price_monitor = price_monitor
        self._prices = prices
        self._clock = clock
        self._answered_at: datetime | None = None
        """When fal last answered a poll of any job. If fal answers others, errors of one job's polls are its own."""
        self._log = log.get(__name__)

    async def claim(self, most: int) -> Claim:
        claim = await self._due.claim_polls(
            now=self._clock(), most=most, lease=LEASE, per_second=self._schedule.polls.per_second
        )
        self._pacer.observe(claim.waiting)
        return claim

    async def poll(self, item: Claimed) -> None:
        """Poll one generation once, evaluate its stored callback, or copy its video."""
        late = self._clock() - item.due_at
        metrics.POLL_DELAY_SECONDS.observe(late.total_seconds())
        g, callback = await self._callbacks.read(item.id)
        if g is None:
            await self._due.remove(WorkQueue.POLL, item.id)
            return
        bind_generation(g)
        begin_work_of(g.tenant_id)
        with tracing.span("generation.poll", parent=g.traceparent, generation=g.id, tenant=g.tenant_id) as span:
            await self._follow(g, callback, self._schedule.missed(late), span)

    async def _follow(self, g: Generation, callback: Callback | None, missed: timedelta, span: tracing.Span) -> None:
        known: Generation | None = g
        if callback is not None:
            known = await self._adopt(g, callback.request_id)
        if known is not None and known.status is Status.COPYING and known.copying is not None:
            span.discard()  # the copy has a span of its own
            if callback is not None:
                await self._callbacks.forget(known.id)  # it came after the result, and would delay the next attempt
            await self._video_copier.copy(known, known.copying)
            return
        if known is None or known.status not in UPSTREAM or known.request_id is None:
            span.discard()
            return  # it ended between claim and poll, and the transition has set its next due time
        reported = None if callback is None else await self._evaluate_callback(known, callback)
        if reported is not None:
            span.annotate(outcome="callback")
            await self._end_reported(known, known.request_id, reported)
            return
        await self._poll_fal(known, known.request_id, missed, span)

    async def _poll_fal(self, g: Generation, request_id: str, missed: timedelta, span: tracing.Span) -> None:
        """Request the status, after a cancel call if the caller or the deadline requires one."""
        cancels = g.cancel_pending or (g.cancel_sent_at is None and self._is_final(g, missed))
        if cancels:
            g = await self._send_cancel(g, request_id)
        outcome = await self._status(g, request_id)
        span.annotate(outcome=type(outcome).__name__.lower())
        if not cancels and _is_repetition(g, outcome):
            span.discard()  # a long job has hundreds of such polls
        if isinstance(outcome, Completed):
            await self._end(g, result_outcome(await self._fal.result(request_id, model=g.model)), outcome.logs)
        elif isinstance(outcome, Missing) and self._is_final(g, missed):
            await self._end(g, result_outcome(await self._fal.result(request_id, model=g.model)), ())
        else:
            await self._record(g, outcome, missed)

    def _is_final(self, g: Generation, missed: timedelta) -> bool:
        """Return whether the job's time at fal is over, provided that fal answers this poll."""
        now = self._clock()
        return self._schedule.is_final(g.poll_answered(now, missed=missed), now)

    async def _status(self, g: Generation, request_id: str) -> StatusOutcome:
        """Request the status. The dispatch gate records what the response means for the account."""
        sent_at = self._clock()
        outcome = status_outcome(await self._fal.status(request_id, model=g.model))
        if not isinstance(outcome, UpstreamError):
            await self._gate.answered()
        elif outcome.locked:
            await self._gate.locked_poll(g, outcome.reason, sent_at)
        return outcome

    async def _adopt(self, g: Generation, request_id: str) -> Generation | None:
        """Adopt the fal request id of a callback for a submit whose response was lost."""
        if transitions.after_callback(g, request_id, self._clock()) is None:
            return g
        moved = await self._transitions.apply(
            g.id, lambda current: transitions.after_callback(current, request_id, self._clock())
        )
        return moved or await self._generations.load(g.id)

    async def _evaluate_callback(self, g: Generation, callback: Callback) -> Succeeded | Failed | Canceled | None:
        """Return how the job ended by its callback. Delete a callback without an end, or of another request."""
        if callback.request_id != g.request_id:
            metrics.CALLBACKS.labels("other_request").inc()
            self._log.error(
                "callback_of_other_request",
                generation_id=g.id,
                fal_request_id=g.request_id,
                reported_fal_request_id=callback.request_id,
            )
        elif (outcome := callback_outcome(callback)) is not None:
            return outcome
        await self._callbacks.forget(g.id)
        return None

    async def _send_cancel(self, g: Generation, request_id: str) -> Generation:
        """Send the cancel call, and record whether fal accepted it."""
        accepted = cancel_outcome(await self._fal.cancel(request_id, model=g.model)) != "trouble"
        moved = await self._transitions.apply(
            g.id, lambda current: transitions.after_cancel_call(current, self._clock(), accepted=accepted), read=g
        )
        return moved or g

    async def _record(
        self, g: Generation, outcome: InQueue | Running | Missing | UpstreamError, missed: timedelta
    ) -> None:
        """Write what the poll showed; if that is nothing new, only the time of the next poll."""
        if isinstance(outcome, UpstreamError):
            self._log.warning("poll_failed", generation_id=g.id, reason=outcome.reason)
        if self._after_status(g, outcome, missed) is g:
            await self._generations.reschedule_poll(g.id, self._pacer.next_poll(g, self._clock()))
            return
        await self._transitions.apply(g.id, lambda current: self._after_status(current, outcome, missed), read=g)

    def _after_status(
        self, g: Generation, outcome: InQueue | Running | Missing | UpstreamError, missed: timedelta
    ) -> Generation | None:
        if isinstance(outcome, UpstreamError):
            return self._after_error(g)
        now = self._clock()
        answered = g.poll_answered(now, missed=missed)
        self._answered_at = now
        if self._schedule.is_lost(answered, now):
            return transitions.after_timeout(answered, now)
        return transitions.after_status(answered, outcome, now)

    def _after_error(self, g: Generation) -> Generation | None:
        """Keep the job, however long fal is unavailable; but not if fal answers the polls of all other jobs."""
        now, since = self._clock(), g.poll_failing_since
        others_answered = since is not None and self._answered_at is not None and self._answered_at > since
        unrecoverable = now >= self._schedule.deadline(g, now) + LONGEST_POLL_OUTAGE
        if since is not None and (unrecoverable or (others_answered and self._schedule.is_lost(g, now))):
            return transitions.after_timeout(g, now)
        return transitions.after_poll_error(g, now)

    async def _end_reported(self, g: Generation, request_id: str, reported: Succeeded | Failed | Canceled) -> None:
        """End a job that a callback has reported, with its result and the last lines of fal's log.

        Only the result contains the billed units, so it is requested again if fal does not return it at once. After
        ``_RESULT_ATTEMPTS``, or when fal has deleted the result, the callback alone ends the job.
        """
        status, response = await asyncio.gather(
            self._fal.status(request_id, model=g.model), self._fal.result(request_id, model=g.model)
        )
        result, seen = result_outcome(response), status_outcome(status)
        logs = seen.logs if isinstance(seen, InQueue | Running | Completed) else ()
        if is_verdict(result):
            await self._end(g, result, logs)
        elif isinstance(result, Failed) or g.poll_failures >= _RESULT_ATTEMPTS:
            await self._end(g, reported, logs)
        else:
            await self._transitions.apply(
                g.id, lambda current: transitions.after_poll_error(current, self._clock()), read=g
            )

    async def _end(self, g: Generation, result: ResultOutcome, logs: tuple[LogLine, ...]) -> None:
        """End a completed job by its result, which is fetched at once: fal may delete it within minutes."""
        if isinstance(result, UpstreamError):
            self._log.warning("poll_failed", generation_id=g.id, reason=result.reason)
        else:
            self._answered_at = self._clock()
        moved = await self._transitions.apply(
            g.id,
            lambda current: self._after_result(current, result, logs),
            read=g,
            verdict=is_verdict(result),  # a lost result must not override a callback that came during this poll
        )
        if moved is not None:
            await self._price_monitor.observe(moved, result)

    def _after_result(self, g: Generation, result: ResultOutcome, logs: tuple[LogLine, ...]) -> Generation | None:
        if isinstance(result, NotReady | UpstreamError):  # completed, but the result is unavailable or not ready
            return self._after_error(g)
        copies = self._video_copier.copies(g)
        rates = self._prices.of(g.model)
        return transitions.after_result(g, result, logs, self._clock(), rates=rates, copies_video=copies)


def _is_repetition(g: Generation, outcome: StatusOutcome) -> bool:
    """Return whether the poll is worth no span: no new status, and not the first error in a row."""
    match outcome:
        case InQueue() | Missing():
            return True
        case Running():
            return g.status is Status.IN_PROGRESS
        case UpstreamError():
            return g.poll_failures > 0
    return False


def is_verdict(result: ResultOutcome) -> bool:
    """Return whether the result says how the job ended; not so if it is not ready, unavailable, or lost."""
    return not isinstance(result, UpstreamError | NotReady) and not (
        isinstance(result, Failed) and result.presumed_billed
    )
