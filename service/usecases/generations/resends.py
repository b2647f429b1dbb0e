"""Detection of submits that a fal client sends again because the connection broke.

The gateway remembers an accepted call until its response is sent. An equal call that arrives meanwhile waits. If the
response is sent, the call is a new request. If the response is lost, the call gets the generation of the first call.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from service.clock import Clock
from service.domain.generation import Generation
from service.domain.request import CreateGeneration
from service.domain.tenant import Tenant
from service.errors import NotFound, StoreUnavailable
from service.observability import log, metrics
from service.store.generations.creation import Call
from service.store.generations.response_receipts import ResponseReceiptStore
from service.usecases.generations.create import CreateOptions, CreateResult, GenerationCreator, ResponsesInFlight

#: A response in flight for longer is lost: its process has died. A process that takes longer renews the lease.
LEASE: Final = timedelta(seconds=2)
_FIRST_PAUSE: Final = 0.005  # seconds: most responses are sent by then
_LONGEST_PAUSE: Final = 0.1


class ResponseReceipt:
    """Records whether one call's response was sent or lost. The first record counts, later ones change nothing."""

    def __init__(
        self, store: ResponseReceiptStore, tenant_id: str, call: Call | None, generation_id: str, *, clock: Clock
    ) -> None:
        """``call`` is None for a call that is not remembered: then nothing is recorded."""
        self._store = store
        self._tenant_id = tenant_id
        self._call = call
        self._generation_id = generation_id
        self._clock = clock

    async def delivered(self) -> None:
        if self._call is not None:
            with self._log_unavailable():
                await self._store.delivered(self._tenant_id, self._call.digest, self._generation_id)

    async def lost(self) -> None:
        metrics.RESPONSES_LOST.labels(self._tenant_id).inc()
        if self._call is not None:
            window = self._call.window
            with self._log_unavailable():
                await self._store.lost(self._tenant_id, self._call.digest, self._generation_id, window=window)

    async def prolong(self) -> None:
        if self._call is not None:
            until = self._clock() + LEASE
            with self._log_unavailable():
                await self._store.prolong(
                    self._tenant_id, self._call.digest, self._generation_id, until=until, window=self._call.window
                )

    @contextlib.contextmanager
    def _log_unavailable(self) -> Iterator[None]:
        try:
            yield
        except StoreUnavailable as error:  # the lease expires without it, and the client's response does not change
            log.get(__name__).warning("response_receipt_failed", generation_id=self._generation_id, error=error.detail)


@dataclass(frozen=True, slots=True)
class Submission:
    creation: CreateResult
    receipt: ResponseReceipt

    @property
    def generation(self) -> Generation:
        return self.creation.generation


class ResendDetector:
    def __init__(
        self, creator: GenerationCreator, store: ResponseReceiptStore, *, window: timedelta, clock: Clock
    ) -> None:
        """``window`` is how long a lost response is remembered; zero switches the detection off."""
        self._creator = creator
        self._store = store
        self._window = window
        self._clock = clock

    async def create(
        self, tenant: Tenant, request: CreateGeneration, options: CreateOptions, *, digest: str
    ) -> Submission:
        """Create a generation, or return the one of an equal call whose response was lost.

        Equal calls have the same ``digest``. A call with an idempotency key needs no detection. Raises as
        ``GenerationCreator.create``, except ResponsesInFlight.
        """
        if options.idempotency_key is not None or not self._window:
            return self._submission(tenant, None, await self._creator.create(tenant, request, options))
        # Before the loop: images are uploaded once, however often the create is repeated.
        request = await self._creator.upload_inline_images(tenant, request, options)
        in_flight, others, pause = _InFlight(), frozenset[str](), _FIRST_PAUSE
        while True:
            call = self._call(digest, others)
            try:
                result = await self._creator.create(tenant, request, options, call=call)
            except ResponsesInFlight as conflict:
                if others == (others := others | in_flight.of_other_callers(conflict.leases)):
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
            except NotFound:  # the generation of the lost response was erased meanwhile
                return self._submission(tenant, None, await self._creator.create(tenant, request, options))
            else:
                return self._submission(tenant, call, result)

    def _call(self, digest: str, others: frozenset[str]) -> Call:
        now = self._clock()
        return Call(digest, now, now + LEASE, self._window, others)

    def _submission(self, tenant: Tenant, call: Call | None, result: CreateResult) -> Submission:
        receipt = ResponseReceipt(self._store, tenant.id, call, result.generation.id, clock=self._clock)
        return Submission(result, receipt)


class _InFlight:
    """The responses that were in flight when this call arrived. Only one of those can have been meant for it."""

    def __init__(self) -> None:
        self._first: Mapping[str, int] | None = None
        self._give_up = asyncio.get_running_loop().time() + 2 * LEASE.total_seconds()

    def of_other_callers(self, leases: Mapping[str, int]) -> frozenset[str]:
        """Return the generations whose responses are not for this call.

        Those began after this call, or their lease was renewed since, by a process that still sends them. After the
        time limit all count as such.
        """
        if self._first is None:
            self._first = leases
        late = asyncio.get_running_loop().time() > self._give_up
        return frozenset(name for name, until in leases.items() if late or until != self._first.get(name))
