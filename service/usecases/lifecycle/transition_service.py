"""State transitions of generations: load, apply a transition, compare-and-set.

The script that writes the record also writes what follows from the transition: due times, deliveries, money and slots.
"""

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
"""Returns the changed generation; None if there is nothing to do in its status. Called again after a lost race."""

_REDIS_RETRY_SECONDS: Final = 600.0
_REDIS_RETRY_PAUSE_SECONDS: Final = 0.5


class TransitionService:
    def __init__(
        self,
        generations: GenerationStore,
        endpoints: EndpointStore,
        pacer: PollPacer,
        nudger: Nudger,
        *,
        clock: Clock,
        public_url: str | None = None,
        retry_pause: float = _REDIS_RETRY_PAUSE_SECONDS,
    ) -> None:
        """``public_url``: for links in webhooks. ``retry_pause``: seconds between attempts of ``apply_with_retry``."""
        self._generations = generations
        self._endpoints = endpoints
        self._pacer = pacer
        self._nudger = nudger
        self._clock = clock
        self._public_url = public_url
        self.retry_pause = retry_pause

    async def apply(
        self,
        generation_id: str,
        transition: Transition,
        *,
        read: Generation | None = None,
        why: str = "",
        verdict: bool = False,
    ) -> Generation | None:
        """Apply a transition to the current record. Return the new record; None if nothing was changed.

        Nothing is changed if the record is gone, if the transition returns None, or if the transition would end the
        generation while a callback is stored that no poll has evaluated: the poll is due, and decides.

        ``read``: the record, if the caller has just read or written it. It saves one read, unless another process has
        changed the record since. ``why``: the reason of an operator or of reconciliation, for the ledger. ``verdict``:
        the transition follows from fal's own result, to which a stored callback adds nothing.

        Raises StoreUnavailable.
        """
        known = read

        async def attempt() -> Generation | Lost | None:
            nonlocal known
            before, known = known or await self._generations.load(generation_id), None
            if before is None or (after := transition(before)) is None:
                return None
            moved = await self._write(after, before=before, why=why, verdict=verdict)
            if moved.won:
                return moved.generation
            return None if moved.callback_waits else LOST

        moved = await retry_on_conflict(attempt)
        if moved is LOST:
            raise AssertionError(f"{generation_id}: lost {MAX_ATTEMPTS} races in a row")
        return moved

    async def apply_with_retry(
        self, generation_id: str, transition: Transition, *, read: Generation | None = None
    ) -> Generation | None:
        """Do the same, and retry for ten minutes while Redis is unavailable: for outcomes that only this process has.

        Only the first attempt uses ``read``: after an error the record may have been written.
        """
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + _REDIS_RETRY_SECONDS
        while True:
            try:
                return await self.apply(generation_id, transition, read=read)
            except StoreUnavailable:
                if loop.time() > give_up_at:
                    raise
                read = None
                await asyncio.sleep(self.retry_pause)

    async def revive(self, before: Generation, request_id: str, *, why: str) -> Generation | None:
        """Follow a given-up generation again under this fal request id. Return None if it has changed since its read.

        Raises RequestIdTaken, TenantDeleted.
        """
        now = self._clock()
        after = replace(before.revived(request_id, now), status_since=now)
        moved = await self._generations.revive(before, after, now=now, why=why)
        if not moved.won:
            return None
        self._nudger.nudge_all(moved.nudges)
        log_transition(moved.generation, before.status)
        return moved.generation

    async def _write(self, after: Generation, *, before: Generation, why: str, verdict: bool) -> Moved:
        now = self._clock()
        events = list[Delivery]()
        if after.public_status is not before.public_status:
            events = await self._events(after, now)
            after = replace(after, status_since=now, deliveries=(*after.deliveries, *(event.id for event in events)))
        moved = await (
            self._finish(after, events, now, why, before=before, verdict=verdict or before.status is Status.COPYING)
            if after.is_terminal
            else self._save(after, events, now, why, before=before)
        )
        if not moved.won:
            metrics.TRANSITION_CONFLICTS.labels("finish" if after.is_terminal else "save").inc()
            return moved
        self._nudger.nudge_all(moved.nudges)
        if after.public_status is not before.public_status:
            _observe(before, moved.generation, now)
            _trace(before, moved.generation, now)
        log_transition(moved.generation, before.status)
        if dead := sum(event.status is DeliveryStatus.DEAD for event in events):
            metrics.tenant_series(metrics.WEBHOOKS_DEAD_LETTERED, after.tenant_id).inc(dead)
        return moved

    async def _events(self, after: Generation, now: datetime) -> list[Delivery]:
        """Read the endpoints now, so that every endpoint that subscribed before the transition receives its event."""
        if after.public_status not in EVENTS:
            return []
        endpoints = await self._endpoints.of_tenant(after.tenant_id)
        return deliveries_of(after, now, endpoints, public_url=self._public_url)

    async def _save(
        self, after: Generation, events: Sequence[Delivery], now: datetime, why: str, *, before: Generation
    ) -> Moved:
        due = self._pacer.due(after, now)
        if why and after.status in UPSTREAM:
            due = replace(due, poll=now)  # adopted by an operator or by reconciliation: fal may have finished long ago
        moved = await self._generations.save(after, due, events, why=why, before=before)
        if due.poll is not None and due.poll <= now:
            self._nudger.nudge(WorkQueue.POLL)
        return moved

    async def _finish(
        self,
        after: Generation,
        events: Sequence[Delivery],
        now: datetime,
        why: str,
        *,
        before: Generation,
        verdict: bool,
    ) -> Moved:
        due = self._pacer.due(after, now)
        return await self._generations.finish(after, due, events, now=now, why=why, verdict=verdict, before=before)


def _observe(before: Generation, after: Generation, now: datetime) -> None:
    entered = before.status_since or before.created_at
    metrics.STATE_SECONDS.labels(before.public_status).observe(max(0.0, (now - entered).total_seconds()))
    if not after.is_terminal:
        return
    code = after.error.code if after.error else ""
    metrics.tenant_series(metrics.FINISHED, after.tenant_id, after.status, code).inc()
    metrics.GENERATION_SECONDS.labels(after.status).observe((now - after.created_at).total_seconds())
    metrics.tenant_series(metrics.COST, after.tenant_id).inc(after.actual_cost or 0)
    if after.status is not Status.CANCELED:  # the caller ended it: neither good nor bad
        metrics.COMPLETIONS.labels("bad" if after.error and after.error.code not in CALLERS_FAULTS else "good").inc()


def _trace(before: Generation, after: Generation, now: datetime) -> None:
    """Record a span of the time in the status that the generation has left. No process was there for all of it."""
    tracing.record_past(
        f"generation.{before.public_status}",
        parent=after.traceparent,
        begun=before.status_since or before.created_at,
        ended=now,
        generation=after.id,
        tenant=after.tenant_id,
        status=after.public_status,
        outcome=after.error.code if after.error else None,
    )
