"""Moving a generation: load, apply a verb, compare-and-set; what follows from the move is written with it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from service.clock import Clock
from service.domain.failure import CALLERS_FAULTS
from service.domain.generation import Generation
from service.domain.status import UPSTREAM, Status
from service.domain.webhook import Delivery, DeliveryStatus
from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.observability import metrics, tracing
from service.store.generations.generations import GenerationStore, Moved
from service.store.webhooks.endpoints import EndpointStore
from service.tasks import Nudger
from service.usecases.conflicts import LOST, MAX_ATTEMPTS, Lost, retry_on_conflict
from service.usecases.lifecycle.poll_pacer import PollPacer
from service.usecases.log_context import log_transition
from service.usecases.webhooks.fanout import EVENTS, deliveries_of

Transition = Callable[[Generation], Generation | None]
"""A move; None where there is nothing to do from this state. May be called again after a lost race."""

_REDIS_RETRY_SECONDS: Final = 600.0
_STORE_PAUSE: Final = 0.5  # seconds


class TransitionService:
    def __init__(
        self,
        generations: GenerationStore,
        endpoints: EndpointStore,
        pacer: PollPacer,
        nudger: Nudger,
        *,
        clock: Clock,
    ) -> None:
        self._generations = generations
        self._endpoints = endpoints
        self._pacer = pacer
        self._nudger = nudger
        self._clock = clock

    async def apply(
        self,
        generation_id: str,
        verb: Transition,
        *,
        read: Generation | None = None,
        why: str = "",
        verdict: bool = False,
    ) -> Generation | None:
        """Make this move from whatever state it is in; None: nothing was changed.

        That is so if the record is gone, if the verb had nothing to do, or if the move would end the generation while
        a callback is stored that no poll has judged yet: its poll is due, and decides. ``verdict``: the move is what
        fal itself said, so a callback adds nothing.
        ``read`` is the record if the caller has just read it: one read less, unless it has moved since.
        ``why``: the reason of an operator or of reconciliation; it goes into the ledger.
        """
        known = read

        async def attempt() -> Generation | Lost | None:
            nonlocal known
            before, known = known or await self._generations.load(generation_id), None
            if before is None or (after := verb(before)) is None:
                return None
            moved = await self._write(after, before=before, why=why, verdict=verdict)
            if moved.won:
                return moved.generation
            return None if moved.callback_waits else LOST

        moved = await retry_on_conflict(attempt)
        if moved is LOST:
            raise AssertionError(f"{generation_id}: lost {MAX_ATTEMPTS} races in a row")
        return moved

    async def apply_with_retry(self, generation_id: str, verb: Transition) -> Generation | None:
        """The same, waiting out a store that is away: for what only this process knows."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + _REDIS_RETRY_SECONDS
        while True:
            try:
                return await self.apply(generation_id, verb)
            except StoreUnavailable:
                if loop.time() > give_up:
                    raise
                await asyncio.sleep(_STORE_PAUSE)

    async def write(self, after: Generation, *, before: Generation, why: str = "") -> Generation | None:
        """Write a move made from the version it was read at; None if it was not made."""
        moved = await self._write(after, before=before, why=why, verdict=False)
        return moved.generation if moved.won else None

    async def _write(self, after: Generation, *, before: Generation, why: str, verdict: bool) -> Moved:
        now = self._clock()
        news = list[Delivery]()
        if after.status is not before.status:
            news = await self._news(after, now)
            after = replace(after, moved_at=now, deliveries=(*after.deliveries, *(event.id for event in news)))
        moved = await (
            self._finish(after, news, now, why, verdict=verdict or before.copying is not None)
            if after.is_terminal
            else self._save(after, news, now, why)
        )
        if not moved.won:
            metrics.LOST_RACES.labels("finish" if after.is_terminal else "save").inc()
            return moved
        for drain in moved.nudges:
            self._nudger.nudge(drain)
        if after.status is not before.status:
            _observe(before, moved.generation, now)
            _trace(before, moved.generation, now)
        self._tell(before, moved.generation, news)
        return moved

    async def revive(self, before: Generation, request_id: str, *, why: str) -> Generation | None:
        """Follow a given-up job again under this request id; None: it has changed since it was read.

        Raises RequestIdTaken.
        """
        now = self._clock()
        after = replace(before.revived(request_id, now), moved_at=now)
        moved = await self._generations.revive(before, after, now=now, why=why)
        if not moved.won:
            return None
        for drain in moved.nudges:
            self._nudger.nudge(drain)
        log_transition(moved.generation, before.status)
        return moved.generation

    async def _news(self, after: Generation, now: datetime) -> list[Delivery]:
        """Endpoints are read at the move: whoever subscribed before it hears of it."""
        if after.status not in EVENTS:
            return []
        return deliveries_of(after, now, await self._endpoints.of_tenant(after.tenant_id))

    async def _save(self, after: Generation, news: Sequence[Delivery], now: datetime, why: str) -> Moved:
        due = self._pacer.due(after, now)
        if why and after.status in UPSTREAM:
            due = replace(due, poll=now)  # fal has had it for a while
        moved = await self._generations.save(after, due, news, why=why)
        if due.poll is not None and due.poll <= now:
            self._nudger.nudge(WorkQueue.POLL)
        return moved

    async def _finish(
        self, after: Generation, news: Sequence[Delivery], now: datetime, why: str, *, verdict: bool
    ) -> Moved:
        due = self._pacer.due(after, now)
        return await self._generations.finish(after, due, news, now=now, why=why, verdict=verdict)

    @staticmethod
    def _tell(before: Generation, g: Generation, news: Sequence[Delivery]) -> None:
        log_transition(g, before.status)
        if dead := sum(event.status is DeliveryStatus.DEAD for event in news):
            metrics.WEBHOOKS_DEAD.labels(g.tenant_id).inc(dead)


def _observe(before: Generation, after: Generation, now: datetime) -> None:
    entered = before.moved_at or before.created_at
    metrics.STATE_SECONDS.labels(before.status).observe(max(0.0, (now - entered).total_seconds()))
    if not after.is_terminal:
        return
    metrics.FINISHED.labels(after.tenant_id, after.status, after.error.code if after.error else "").inc()
    metrics.SECONDS_TO_END.labels(after.status).observe((now - after.created_at).total_seconds())
    metrics.COST.labels(after.tenant_id).inc(after.actual_cost or 0)
    if after.status is not Status.CANCELED:  # its caller's wish, and nothing that was promised
        metrics.COMPLETIONS.labels("bad" if after.error and after.error.code not in CALLERS_FAULTS else "good").inc()


def _trace(before: Generation, after: Generation, now: datetime) -> None:
    """The time it spent in the state it has left: where that is many minutes, nobody was there all along."""
    tracing.past(
        f"generation.{before.status}",
        parent=after.traceparent,
        begun=before.moved_at or before.created_at,
        ended=now,
        generation=after.id,
        tenant=after.tenant_id,
        status=after.status,
        outcome=after.error.code if after.error else None,
    )
