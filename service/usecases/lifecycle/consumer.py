"""Consumer of a work queue: claims due items under leases and processes them concurrently on the event loop."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.observability import log, metrics
from service.observability.outages import log_store_failure
from service.store.queues.due import Claim, Claimed
from service.usecases.lifecycle.leases import LeaseKeeper

_LARGEST_CLAIM: Final = 100


class Consumer:
    """One per work queue and process.

    ``run`` claims due items, starts their processing and returns. At most ``capacity`` items are processed
    concurrently. A slow upstream or a dead receiver therefore occupies its own item and no Celery thread. Leases, not
    messages, record which items are not finished.
    """

    def __init__(
        self,
        work_queue: WorkQueue,
        claim: Callable[[int], Awaitable[Claim]],
        process: Callable[[Claimed], Awaitable[bool | None]],
        *,
        capacity: int,
        may_claim: Callable[[], bool] = lambda: True,
        keep: Callable[[WorkQueue], LeaseKeeper] | None = None,
    ) -> None:
        """``claim`` takes the largest number of items. ``process`` handles one item, concurrently with others.

        ``process`` returns True if it has made room for an item that was due and could not be claimed. While
        ``may_claim`` returns False nothing is claimed. ``keep`` creates the keeper of all leases of this consumer.
        """
        self.work_queue = work_queue
        self.claim = claim
        self._process = process
        self._capacity = capacity
        self._may_claim = may_claim
        self.leases = None if keep is None else keep(work_queue)
        self._running: set[asyncio.Task[None]] = set()
        self._scheduled: set[asyncio.Task[None]] = set()
        """The next ``run``, if one is scheduled."""
        self._claiming = False
        self._no_claim = asyncio.Event()
        self._no_claim.set()
        self._claim_again = False
        self._closed = False
        self._log = log.get(__name__)

    async def run(self) -> None:
        """Claim due items and start their processing. While another call claims, it only makes that one claim again.

        Raises StoreUnavailable.
        """
        self._claim_again = True
        if self._claiming:
            return
        self._claiming = True
        self._no_claim.clear()
        try:
            while self._claim_again and (free := self._free_capacity()) > 0:
                self._claim_again = False
                claim = await self.claim(free)
                metrics.WORK_ITEMS_CLAIMED.labels(self.work_queue).inc(len(claim.taken))
                for item in claim.taken:
                    self._start(item)
                if claim.more or len(claim.taken) == free:
                    self._claim_again = True
        finally:
            self._claiming = False
            self._no_claim.set()

    def claim_soon(self) -> bool:
        """Schedule ``run``. Return False if no capacity is free: another process should claim."""
        if self._free_capacity() <= 0:
            return False
        self._claim_again = True
        if not self._claiming:
            self._schedule_run()
        return True

    async def close(self, grace: float) -> None:
        """Stop claiming, and wait up to ``grace`` seconds for running items.

        Items that run for longer are cancelled. They are due again when their leases expire.
        """
        self._closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._no_claim.wait()  # the items of a claim in progress are started, and may finish too
                await self.idle()
        late = list(self._running)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if self.leases is not None:
            await self.leases.close()

    async def idle(self) -> None:
        """Wait until no item is processed and no ``run`` is scheduled."""
        while self._running or self._scheduled:
            await asyncio.wait(self._running | self._scheduled)

    @property
    def busy(self) -> int:
        """Number of items being processed."""
        return len(self._running)

    def _free_capacity(self) -> int:
        if self._closed or not self._may_claim():
            return 0
        return min(self._capacity - len(self._running), _LARGEST_CLAIM)

    def _start(self, item: Claimed) -> None:
        task = asyncio.create_task(self._process_under_lease(item), context=log.fresh_context())
        self._running.add(task)
        task.add_done_callback(self._item_ended)

    def _item_ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._claim_again and not self._claiming and not self._closed:
            self._schedule_run()

    def _schedule_run(self) -> None:
        """Schedule one run for all requests of this iteration of the event loop."""
        if not self._scheduled:
            task = asyncio.create_task(self._run_suppressed(), context=log.fresh_context())
            self._scheduled.add(task)
            task.add_done_callback(self._scheduled_run_ended)

    def _scheduled_run_ended(self, task: asyncio.Task[None]) -> None:
        self._scheduled.discard(task)
        if self._claim_again and not self._claiming and self._free_capacity() > 0:
            self._schedule_run()  # a request came between the last claim of this run and its end

    async def _run_suppressed(self) -> None:
        with contextlib.suppress(StoreUnavailable):  # workers claim again within a second
            await self.run()

    async def _process_under_lease(self, item: Claimed) -> None:
        if self.leases is None:
            await self._try_to_process(item)
            return
        with self.leases.held(item) as lease:
            if not await self._try_to_process(item):
                await self.leases.postpone(lease)

    async def _try_to_process(self, item: Claimed) -> bool:
        """Return False if the processing raised an error that would most likely repeat at once."""
        log.bind(work_queue=self.work_queue, item=item.id)
        try:
            if await self._process(item):
                self._claim_again = True
        except StoreUnavailable as error:
            metrics.WORK_ITEMS_FAILED.labels(self.work_queue).inc()
            log_store_failure(self._log, error, operation="process_item")
        except Exception:  # noqa: BLE001  (one bad item must not stop the others; it is due again when its lease expires)
            metrics.WORK_ITEMS_FAILED.labels(self.work_queue).inc()
            self._log.exception("work_item_failed")
            return False
        return True
