"""Erasure of end users: a part during the call, the rest as a job of the sweep.

The job is durable and resumable. It reads the end user's index of generations.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from service.clock import Clock
from service.domain import erasure, transitions
from service.domain.erasure import Erasure
from service.media.videos import VideoStore
from service.observability import log
from service.store.generations.generations import GenerationStore
from service.store.tenants.end_users import EndUserStore
from service.store.tenants.erasures import Begun, ErasureStore
from service.store.webhooks.deliveries import DeliveryStore
from service.usecases.generations import videos
from service.usecases.lifecycle.transition_service import TransitionService

#: The most that one call erases itself, in generations and in seconds; the rest is a job.
CALL_LIMIT: Final = 500
_CALL_SECONDS: Final = 2.0
#: One claim of the job works this long, so that other items of the sweep are processed too.
_CLAIM_SECONDS: Final = 20.0
#: The sweep continues what a call began after this time: the call has ended or its process has died by then.
_CALL_LEASE: Final = timedelta(seconds=60)
#: Generations that are erased concurrently.
_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What was done with one generation.

    ``stripped``: its data is removed, and the record stays while fal has the job. ``erased``: it is deleted.
    ``absent``: there is no record. ``moved``: it changed after it was read, and is read again from the index.
    """

    kind: Literal["stripped", "erased", "absent", "moved"]
    deliveries: int = 0
    videos: int = 0


class ErasureJobs:
    def __init__(
        self,
        erasures: ErasureStore,
        end_users: EndUserStore,
        generations: GenerationStore,
        deliveries: DeliveryStore,
        video_store: VideoStore | None,
        transition_service: TransitionService,
        *,
        clock: Clock,
    ) -> None:
        self._erasures = erasures
        self._end_users = end_users
        self._generations = generations
        self._deliveries = deliveries
        self._videos = video_store
        self._transitions = transition_service
        self._clock = clock
        self._log = log.get(__name__)

    async def begin(self, tenant_id: str, pseudonym: str) -> Begun:
        """Record the erasure. From then on the sweep continues it until it is done."""
        now = self._clock()
        return await self._erasures.begin(tenant_id, pseudonym, now=now, continued_at=now + _CALL_LEASE)

    async def erase_some(self, tenant_id: str, pseudonym: str) -> None:
        """Erase as much as one call may. The rest is due for the sweep at once."""
        if not await self._erase(tenant_id, pseudonym, most=CALL_LIMIT, seconds=_CALL_SECONDS):
            await self._erasures.reschedule(tenant_id, pseudonym, self._clock())

    async def continue_job(self, name: str) -> None:
        """Continue a job of the sweep for ``_CLAIM_SECONDS``. The rest is due again at once."""
        found = erasure.of_job(name)
        if found is None or await self._erase(*found, most=None, seconds=_CLAIM_SECONDS):
            return
        await self._erasures.reschedule(*found, self._clock())

    async def load(self, tenant_id: str, pseudonym: str) -> Erasure | None:
        return await self._erasures.load(tenant_id, pseudonym)

    async def _erase(self, tenant_id: str, pseudonym: str, *, most: int | None, seconds: float) -> bool:
        """Return whether everything is erased, including what was created meanwhile."""
        loop = asyncio.get_running_loop()
        deadline, done, has_id = loop.time() + seconds, 0, True
        while True:
            page = await self._erasures.generations(tenant_id, pseudonym, most=_PAGE)
            if page and (loop.time() >= deadline or (most is not None and done >= most)):
                return False
            done += len(page)
            if page and not await self._erase_page(tenant_id, pseudonym, page):
                return False  # all of them changed meanwhile; the next claim reads them again
            if not page and has_id:
                await self._end_users.forget(tenant_id, pseudonym)
                has_id = False
            if not page and await self._erasures.end(tenant_id, pseudonym, now=self._clock()):
                self._log.info("erasure_ended", tenant=tenant_id, pseudonym=pseudonym)
                return True

    async def _erase_page(self, tenant_id: str, pseudonym: str, page: list[str]) -> int:
        """Return how many are done. All are tried; then the first error is raised."""
        outcomes = await asyncio.gather(*map(self._erase_one, page), return_exceptions=True)
        done = {
            name: outcome
            for name, outcome in zip(page, outcomes, strict=True)
            if not isinstance(outcome, BaseException)
        }
        stripped = [name for name, outcome in done.items() if outcome.kind == "stripped"]
        in_flight = await self._erasures.detach(tenant_id, pseudonym, stripped)
        gone = await self._erasures.detach(
            tenant_id, pseudonym, [name for name, outcome in done.items() if outcome.kind == "absent"]
        )
        erased = sum(outcome.kind == "erased" for outcome in done.values()) + in_flight
        await self._erasures.count(
            tenant_id,
            pseudonym,
            generations=erased,
            in_flight=in_flight,
            deliveries=sum(outcome.deliveries for outcome in done.values()),
            videos=sum(outcome.videos for outcome in done.values()),
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return erased + gone

    async def _erase_one(self, name: str) -> _Outcome:
        """Erase one generation; return what was done."""
        g = await self._transitions.apply(name, lambda current: transitions.erase(current, self._clock()))
        if g is not None and not g.is_terminal:
            await self._deliveries.delete(g.tenant_id, g.deliveries)  # their bodies contain the erased data
            return _Outcome("stripped", deliveries=len(g.deliveries))
        ended = g or await self._generations.load(name)
        if ended is None:
            return _Outcome("absent")
        if not ended.is_terminal:
            return _Outcome("moved")
        await videos.delete(self._videos, ended)
        await self._deliveries.delete(ended.tenant_id, ended.deliveries)
        if not await self._generations.purge(ended):
            return _Outcome("moved")
        kept = ended.stored_video is not None and self._videos is not None
        return _Outcome("erased", deliveries=len(ended.deliveries), videos=int(kept))
