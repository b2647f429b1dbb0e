"""Working off a due set: claim while there is room and something is due, work on the event loop."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.observability import log, metrics
from service.store.queues.due import Claim, Claimed
from service.usecases.lifecycle.leases import LeaseKeeper

_LARGEST_CLAIM: Final = 100


class Consumer:
    """One per drain and process. ``run`` takes what is due and returns; the work goes on beside it, up to ``capacity``.

    So a slow upstream or a dead receiver holds its own item and no Celery thread, and leases, not messages, say what
    is still to be done. ``keep`` makes what renews the leases of all that runs. Work that answers True has made room
    for something that was due and could not be taken. While ``may_claim`` is False nothing is claimed.
    """

    def __init__(
        self,
        drain: WorkQueue,
        claim: Callable[[int], Awaitable[Claim]],
        work: Callable[[Claimed], Awaitable[bool | None]],
        *,
        capacity: int,
        may_claim: Callable[[], bool] = lambda: True,
        keep: Callable[[WorkQueue], LeaseKeeper] | None = None,
    ) -> None:
        self.drain = drain
        self.claim = claim
        self._work = work
        self._capacity = capacity
        self._may_claim = may_claim
        self.leases = None if keep is None else keep(drain)
        self._running: set[asyncio.Task[None]] = set()
        self._looks: set[asyncio.Task[None]] = set()
        self._claiming = False
        self._no_claim = asyncio.Event()
        self._no_claim.set()
        self._again = False
        self._closed = False
        self._log = log.get(__name__)

    async def run(self) -> None:
        """Take what is due. A call while another is claiming only makes that one look again."""
        self._again = True
        if self._claiming:
            return
        self._claiming = True
        self._no_claim.clear()
        try:
            while self._again and (room := self._room()) > 0:
                self._again = False
                claim = await self.claim(room)
                taken = claim.taken
                metrics.DRAINED.labels(self.drain).inc(len(taken))
                for item in taken:
                    self._start(item)
                if claim.more or len(taken) == room:
                    self._again = True
        finally:
            self._claiming = False
            self._no_claim.set()

    def look(self) -> bool:
        """Have ``run`` called soon; False: there is no room, somebody else had better look."""
        if self._room() <= 0:
            return False
        self._again = True
        if not self._claiming:
            self._look_soon()
        return True

    async def close(self, grace: float) -> None:
        """Claim no more and let what runs come to its end; what does not is claimed again when its lease ends."""
        self._closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._no_claim.wait()  # what it takes is begun, and is to come to its end too
                await self.idle()
        late = list(self._running)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if self.leases is not None:
            await self.leases.close()

    async def idle(self) -> None:
        """Until nothing runs any more: for whoever works off a due set to its end, as tests do."""
        while self._running or self._looks:
            await asyncio.wait(self._running | self._looks)

    @property
    def busy(self) -> int:
        return len(self._running)

    def _room(self) -> int:
        if self._closed or not self._may_claim():
            return 0
        return min(self._capacity - len(self._running), _LARGEST_CLAIM)

    def _start(self, item: Claimed) -> None:
        task = asyncio.create_task(self._work_on(item), context=log.fresh_context())
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._again and not self._claiming and not self._closed:
            self._look_soon()

    def _look_soon(self) -> None:
        """One look for all that ask in this turn of the loop."""
        if not self._looks:
            task = asyncio.create_task(self._run_quietly(), context=log.fresh_context())
            self._looks.add(task)
            task.add_done_callback(self._looked)

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._looks.discard(task)
        if self._again and not self._claiming and self._room() > 0:
            self._look_soon()  # somebody asked between its last claim and its end

    async def _run_quietly(self) -> None:
        with contextlib.suppress(StoreUnavailable):  # workers claim again within a second
            await self.run()

    async def _work_on(self, item: Claimed) -> None:
        if self.leases is None:
            await self._attempt(item)
            return
        with self.leases.held(item) as lease:
            if not await self._attempt(item):
                await self.leases.put_off(lease)

    async def _attempt(self, item: Claimed) -> bool:
        """False: its work raised, and would most likely raise again."""
        log.bind(drain=self.drain, item=item.id)
        try:
            if await self._work(item):
                self._again = True
        except StoreUnavailable as error:
            metrics.DRAIN_FAILURES.labels(self.drain).inc()
            self._log.warning("store away while working", error=error.detail)
        except Exception:  # noqa: BLE001  (one bad item must not end the others; its lease brings it back)
            metrics.DRAIN_FAILURES.labels(self.drain).inc()
            self._log.exception("drain item failed")
            return False
        return True
