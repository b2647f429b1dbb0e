"""Index entries for generations that a release without these indexes has written: a job of the maintenance workers.

It begins by itself, continues after a restart and ends for good. Until then, a search over all tenants does not find
what the job has not reached; a search of one tenant reads the list of the tenant instead, and finds all.

The job has two passes. Processes of the older release may run for some time with those of this one: the second pass
begins an hour after the first one, and finds what they have written since.
"""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from service.clock import Clock
from service.observability import log
from service.store.generations.indexing import IndexingStore, Position

#: Time in which all processes of an older release are replaced.
PAUSE: Final = timedelta(hours=1)
#: Generations of one step, and seconds of steps in one claim of the sweep.
_STEP: Final = 200
_SECONDS: Final = 0.5


class SearchIndexer:
    """Continues the job in each process; two processes at the same time write the same entries."""

    def __init__(self, store: IndexingStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._done = False
        self._begins: datetime | None = None
        self._log = log.get(__name__)

    async def work(self) -> None:
        """Write entries for half a second, or until none is missing."""
        if self._done or (self._begins is not None and self._clock() < self._begins):
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _SECONDS
        while (position := await self._store.position()) is not None:
            self._begins = position.begins
            if self._clock() < position.begins:
                return
            await self._store.note(await self._step(position))
            if loop.time() >= deadline:
                return
        self._done = True

    async def _step(self, position: Position) -> Position | None:
        following = await self._store.index_some(position, most=_STEP)
        if following is not None:
            return following
        if position.number == 1 and position.tenant_id:
            return replace(Position(), number=2, begins=self._clock() + PAUSE)
        self._log.info("generations_indexed")
        return None
