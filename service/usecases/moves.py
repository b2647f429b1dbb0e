"""Moving a generation: load, apply a verb, compare-and-set; what follows from the move is written with it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from service import log, metrics, tracing
from service.domain.drain import Drain
from service.domain.generation import UPSTREAM, Generation, Status
from service.domain.webhook import Delivery, DeliveryStatus
from service.errors import StoreUnavailable
from service.queue import Nudger
from service.store.endpoints import EndpointStore
from service.store.generations import GenerationStore, Moved
from service.usecases.fanout import EVENTS, deliveries_of
from service.usecases.timetable import Timetable

Clock = Callable[[], datetime]
Verb = Callable[[Generation], Generation | None]
"""A move; None where there is nothing to do from this state. May be called again after a lost race."""

_RACES: Final = 20
_STORE_PATIENCE: Final = timedelta(minutes=10)
_STORE_PAUSE: Final = 0.5  # seconds


class Moves:
    def __init__(
        self,
        generations: GenerationStore,
        endpoints: EndpointStore,
        timetable: Timetable,
        nudger: Nudger,
        *,
        clock: Clock,
    ) -> None:
        self._generations = generations
        self._endpoints = endpoints
        self._timetable = timetable
        self._nudger = nudger
        self._clock = clock
        self._log = log.get(__name__)

    async def apply(
        self, generation_id: str, verb: Verb, *, read: Generation | None = None, why: str = ""
    ) -> Generation | None:
        """Make this move from whatever state it is in; None: it is gone, or the verb had nothing to do.

        ``read`` is the record where the caller has just read it: one look less, unless it has moved since.
        ``why``: the reason of an operator or of reconciliation; it goes into the ledger.
        """
        before = read
        for _ in range(_RACES):
            before = before or await self._generations.load(generation_id)
            if before is None or (after := verb(before)) is None:
                return None
            if written := await self.write(after, before=before.status, why=why):
                return written
            before = None
        raise AssertionError(f"{generation_id}: lost {_RACES} races in a row")

    async def apply_surely(self, generation_id: str, verb: Verb) -> Generation | None:
        """The same, waiting out a store that is away: for what only this process knows."""
        give_up = self._clock() + _STORE_PATIENCE
        while True:
            try:
                return await self.apply(generation_id, verb)
            except StoreUnavailable:
                if self._clock() > give_up:
                    raise
                await asyncio.sleep(_STORE_PAUSE)

    async def write(self, after: Generation, *, before: Status, why: str = "") -> Generation | None:
        """Write a move made from the version it was read at; None when somebody else moved first."""
        now = self._clock()
        news = [] if after.status is before else await self._news(after, now)
        after = replace(after, deliveries=(*after.deliveries, *(event.id for event in news)))
        moved = await (self._finish(after, news, now, why) if after.is_terminal else self._save(after, news, now, why))
        if not moved.won:
            metrics.LOST_RACES.labels("finish" if after.is_terminal else "save").inc()
            return None
        for drain in moved.nudges:
            self._nudger.nudge(drain)
        _trace(before, moved.generation, now)
        self._tell(before, moved.generation, news)
        return moved.generation

    async def _news(self, after: Generation, now: datetime) -> list[Delivery]:
        """Endpoints are read at the move: whoever subscribed before it hears of it."""
        if after.status not in EVENTS:
            return []
        return deliveries_of(after, now, await self._endpoints.of_tenant(after.tenant_id))

    async def _save(self, after: Generation, news: Sequence[Delivery], now: datetime, why: str) -> Moved:
        due = self._timetable.due(after, now)
        if why and after.status in UPSTREAM:
            due = replace(due, poll=now)  # fal has had it for a while
        moved = await self._generations.save(after, due, news, why=why)
        if due.poll is not None and due.poll <= now:
            self._nudger.nudge(Drain.POLL)
        return moved

    async def _finish(self, after: Generation, news: Sequence[Delivery], now: datetime, why: str) -> Moved:
        return await self._generations.finish(after, self._timetable.due(after, now), news, now=now, why=why)

    def _tell(self, before: Status, g: Generation, news: Sequence[Delivery]) -> None:
        tell = self._log.debug if g.status is before else self._log.info
        tell(
            "generation moved" if g.status is not before else "generation noted",
            generation_id=g.id,
            tenant=g.tenant_id,
            **{"from": before},
            status=g.status,
            code=g.error.code if g.error else None,
            version=g.version,
            **tracing.fields(g.traceparent),
        )
        if dead := sum(event.status is DeliveryStatus.DEAD for event in news):
            metrics.WEBHOOKS_DEAD.labels(g.tenant_id).inc(dead)
        if g.is_terminal and g.finished_at is not None:
            metrics.FINISHED.labels(g.tenant_id, g.status, g.error.code if g.error else "").inc()
            metrics.SECONDS_TO_END.labels(g.status).observe((g.finished_at - g.created_at).total_seconds())
            metrics.COST.labels(g.tenant_id).inc(g.actual_cost or 0)


def _trace(before: Status, g: Generation, now: datetime) -> None:
    """The time it spent in the state it has left: where that is many minutes, nobody was there all along."""
    if not tracing.is_on() or g.status is before:
        return
    begun = {
        Status.QUEUED: None if g.submits_refused else g.created_at,
        Status.UNCONFIRMED: g.submitted_at,
        Status.SUBMITTED: g.confirmed_at or g.submitted_at,
        Status.IN_PROGRESS: g.started_at,
    }.get(before)
    if begun is not None:
        tracing.past(
            f"generation.{before}",
            parent=g.traceparent,
            begun=begun,
            ended=now,
            generation=g.id,
            tenant=g.tenant_id,
            status=g.status,
            outcome=g.error.code if g.error else None,
        )
