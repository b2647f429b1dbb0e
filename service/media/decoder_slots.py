"""Shares the decoders of one process between tenants: large images of one delay no small images of another.

Each decoder takes a CPU, and one for a large image up to 1.1 GB of memory, so more decoders would not be faster.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

#: Concurrent inspections. One slot is for small images only.
DECODERS: Final = 2


@dataclass(eq=False, slots=True)
class _Job:
    tenant_id: str
    is_large: bool
    started: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class DecoderSlots:
    """A free slot goes to the tenant with the fewest running jobs; of several, to the one that waits since longest.

    Of one tenant, small jobs start before large ones. Large jobs have all slots but one. So a small job waits for small
    jobs only: for at most one of them if its tenant has none.
    """

    def __init__(self, slots: int = DECODERS) -> None:
        self._free = slots
        self._free_for_large = slots - 1
        self._waiting: list[_Job] = []
        self._running: Counter[str] = Counter()
        self._turns = itertools.count(1)
        self._last_turn: dict[str, int] = {}
        """Of each tenant with a waiting or running job: the number of its last start."""

    @asynccontextmanager
    async def slot(self, tenant_id: str, *, is_large: bool) -> AsyncIterator[None]:
        job = _Job(tenant_id, is_large)
        self._waiting.append(job)
        self._start_jobs()
        try:
            await job.started
            yield
        finally:
            if job in self._waiting:
                self._waiting.remove(job)  # canceled before its start
            else:
                self._end(job)
            self._start_jobs()

    def _start_jobs(self) -> None:
        while self._free and (ready := [job for job in self._waiting if not job.is_large or self._free_for_large]):
            job = min(ready, key=self._rank)  # the first of equals: they wait in the order of their arrival
            self._waiting.remove(job)
            self._free -= 1
            self._free_for_large -= job.is_large
            self._running[job.tenant_id] += 1
            self._last_turn[job.tenant_id] = next(self._turns)
            if not job.started.done():
                job.started.set_result(None)

    def _rank(self, job: _Job) -> tuple[int, int, bool]:
        return self._running[job.tenant_id], self._last_turn.get(job.tenant_id, 0), job.is_large

    def _end(self, job: _Job) -> None:
        self._free += 1
        self._free_for_large += job.is_large
        self._running[job.tenant_id] -= 1
        if not self._running[job.tenant_id]:
            del self._running[job.tenant_id]
            if all(other.tenant_id != job.tenant_id for other in self._waiting):
                del self._last_turn[job.tenant_id]
