"""Erasing end users: a little at once, the rest as a job of the sweep. Durable, resumable, by the end user's index."""

import asyncio
from datetime import timedelta
from typing import Final

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

#: What one call erases itself, in generations and in seconds; the rest is a job.
MOST_AT_ONCE: Final = 500
_SECONDS_AT_ONCE: Final = 2.0
#: What one claim of the job works before other items of the sweep are served.
_SECONDS_OF_A_CLAIM: Final = 20.0
#: The sweep continues what a call began after this time: the call has handed it over or died by then.
_CALL_LEASE: Final = timedelta(seconds=60)
#: Generations erased concurrently.
_PAGE: Final = 100


class ErasureJobs:
    def __init__(
        self,
        erasures: ErasureStore,
        end_users: EndUserStore,
        generations: GenerationStore,
        deliveries: DeliveryStore,
        kept: VideoStore | None,
        moves: TransitionService,
        *,
        clock: Clock,
    ) -> None:
        self._erasures = erasures
        self._end_users = end_users
        self._generations = generations
        self._deliveries = deliveries
        self._videos = kept
        self._transitions = moves
        self._clock = clock
        self._log = log.get(__name__)

    async def begin(self, tenant_id: str, pseudonym: str) -> Begun:
        """Write down that it is to be erased; from here on the sweep continues what is not done."""
        now = self._clock()
        return await self._erasures.begin(tenant_id, pseudonym, now=now, continued_at=now + _CALL_LEASE)

    async def erase_some(self, tenant_id: str, pseudonym: str) -> None:
        """As much as one call may; the rest is due for the sweep at once."""
        if not await self._erase(tenant_id, pseudonym, most=MOST_AT_ONCE, seconds=_SECONDS_AT_ONCE):
            await self._erasures.reschedule(tenant_id, pseudonym, self._clock())

    async def continue_job(self, name: str) -> None:
        """Work on a job of the sweep for a while; what is left is due again at once."""
        found = erasure.of_job(name)
        if found is None or await self._erase(*found, most=None, seconds=_SECONDS_OF_A_CLAIM):
            return
        await self._erasures.reschedule(*found, self._clock())

    async def load(self, tenant_id: str, pseudonym: str) -> Erasure | None:
        return await self._erasures.load(tenant_id, pseudonym)

    async def _erase(self, tenant_id: str, pseudonym: str, *, most: int | None, seconds: float) -> bool:
        """Whether all is erased, that included which was created meanwhile."""
        loop = asyncio.get_running_loop()
        give_up, done, named = loop.time() + seconds, 0, True
        while True:
            page = await self._erasures.generations(tenant_id, pseudonym, most=_PAGE)
            if page and (loop.time() >= give_up or (most is not None and done >= most)):
                return False
            done += len(page)
            if page and not await self._erase_page(tenant_id, pseudonym, page):
                return False  # all of them move; the next claim reads them again
            if not page and named:
                await self._end_users.forget(tenant_id, pseudonym)
                named = False
            if not page and await self._erasures.end(tenant_id, pseudonym, now=self._clock()):
                self._log.info("erasure ended", tenant=tenant_id, pseudonym=pseudonym)
                return True

    async def _erase_page(self, tenant_id: str, pseudonym: str, page: list[str]) -> int:
        """How many are done. Each is tried, whatever becomes of the others; then the first error is raised."""
        outcomes = await asyncio.gather(*map(self._erase_one, page), return_exceptions=True)
        stripped = [name for name, outcome in zip(page, outcomes, strict=True) if outcome == "stripped"]
        in_flight = await self._erasures.detach(tenant_id, pseudonym, stripped)
        absent = [name for name, outcome in zip(page, outcomes, strict=True) if outcome == "absent"]
        gone = await self._erasures.detach(tenant_id, pseudonym, absent)
        erased = outcomes.count("erased") + in_flight
        await self._erasures.count(tenant_id, pseudonym, generations=erased, in_flight=in_flight)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return erased + gone

    async def _erase_one(self, name: str) -> str:
        """``stripped`` while fal has it, ``erased`` when nothing is left of it.

        ``absent``: it has no record any more. ``moved``: it moved after it was read, and is read again from the index.
        """
        g = await self._transitions.apply(name, lambda current: transitions.erase(current, self._clock()))
        if g is not None and not g.is_terminal:
            await self._deliveries.delete(g.tenant_id, g.deliveries)  # they quote what it was before
            return "stripped"
        ended = g or await self._generations.load(name)
        if ended is None:
            return "absent"
        if not ended.is_terminal:
            return "moved"
        await videos.delete(self._videos, ended)
        await self._deliveries.delete(ended.tenant_id, ended.deliveries)
        return "erased" if await self._generations.purge(ended) else "moved"
