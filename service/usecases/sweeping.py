"""Deadlines: what waited too long ends, what ended long ago is forgotten."""

from datetime import datetime, timedelta
from typing import Final

from service.domain.drain import Drain
from service.domain.generation import Failure, Generation, Status
from service.media.videos import VideoStore
from service.store.deliveries import DeliveryStore
from service.store.due import Claim, Claimed, DueStore
from service.store.generations import GenerationStore
from service.usecases import videos
from service.usecases.keeping import passed_on
from service.usecases.moves import Clock, Moves
from service.usecases.timetable import Timetable

LEASE: Final = timedelta(seconds=60)

_EXPIRED: Final = Failure("expired", "It waited in the queue for longer than it was allowed to.", retryable=True)
_UNCONFIRMED: Final = Failure("submission_unconfirmed", "The upstream never confirmed that it took the request.")
_TOO_LONG: Final = Failure("upstream_timeout", "The upstream did not finish within the deadline.", retryable=True)


class Sweeping:
    def __init__(
        self,
        generations: GenerationStore,
        deliveries: DeliveryStore,
        due: DueStore,
        kept: VideoStore | None,
        moves: Moves,
        timetable: Timetable,
        *,
        clock: Clock,
    ) -> None:
        self._generations = generations
        self._deliveries = deliveries
        self._due = due
        self._videos = kept
        self._moves = moves
        self._timetable = timetable
        self._clock = clock

    async def claim(self, most: int) -> Claim:
        return await self._due.claim(Drain.SWEEP, now=self._clock(), most=most, lease=LEASE)

    async def sweep(self, item: Claimed) -> None:
        g = await self._generations.load(item.id)
        if g is None:
            await self._due.drop(Drain.SWEEP, item.id)
        elif g.is_terminal and self._is_due(g):
            await self._forget(g)
        else:
            await self._moves.apply(item.id, lambda now: overdue(now, self._clock()) if self._is_due(now) else None)

    async def _forget(self, g: Generation) -> None:
        """Its webhooks quote it, so they go with it; while one is pending, it is looked at again after each lease."""
        if not await self._deliveries.pending(g.deliveries):
            await videos.forget(self._videos, g)
            await self._deliveries.delete(g.deliveries)
            await self._generations.purge(g)

    def _is_due(self, g: Generation) -> bool:
        """Asked of the record, not of the claimed entry: a move since the claim has set another deadline."""
        now = self._clock()
        deadline = self._timetable.due(g, now).sweep
        return deadline is not None and deadline <= now


def overdue(g: Generation, now: datetime) -> Generation | None:
    """What a passed deadline makes of it. Where fal may have billed it, the estimate counts as spent."""
    match g.status:
        case Status.QUEUED:
            return g.failed(_EXPIRED, 0, now)
        case Status.SUBMITTING:
            return g.unconfirmed()
        case Status.UNCONFIRMED:
            return g.failed(_UNCONFIRMED, g.estimated_cost, now)
        case Status.IN_PROGRESS if g.copying is not None:
            return passed_on(g, now)
        case Status.SUBMITTED | Status.IN_PROGRESS:
            return g.failed(_TOO_LONG, g.estimated_cost, now)
    return None
