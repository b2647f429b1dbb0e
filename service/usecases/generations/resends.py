"""Detection of creates that a client sends again because the connection broke.

Such a create has no idempotency key, so the gateway remembers an accepted call until its response is sent. An equal
call that arrives meanwhile waits. If the response is sent, the call is a new request. If the response is lost, the call
is a replay, as with a key.

Some clients mark a repeat (``Attempt``). Their first calls are always new requests and wait for nothing; a repeat is a
replay of an equal call of the last minutes, also if its response was sent: a proxy may have lost it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from service.clock import Clock
from service.domain import ids
from service.domain.generation import Generation
from service.domain.request import CreateGeneration
from service.domain.tenant import Tenant
from service.errors import NotFound, StoreUnavailable
from service.observability import log, metrics
from service.store.generations.creation import Attempt, Call
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
        call = self._call
        if call is None:
            return
        with self._log_unavailable():
            if call.attempt:
                await self._store.delivered_unless_repeated(
                    self._tenant_id, call.digest, self._generation_id, now=self._clock(), window=call.window
                )
            else:
                await self._store.delivered(self._tenant_id, call.digest, self._generation_id)

    async def lost(self) -> None:
        metrics.tenant_series(metrics.RESPONSES_LOST, self._tenant_id).inc()
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
        self,
        tenant: Tenant,
        request: CreateGeneration,
        options: CreateOptions,
        *,
        digest: str,
        require_client: Callable[[], Awaitable[None]],
        attempt: Attempt = "",
    ) -> Submission:
        """Create a generation, or return the one of an equal call whose response was lost.

        Equal calls have the same ``digest``. A call with an idempotency key needs no detection. ``require_client``
        raises an error if the client has disconnected. Raises that, and as ``GenerationCreator.create``, except
        ResponsesInFlight.
        """
        if options.idempotency_key is not None or not self._window:
            return self._submission(tenant, None, await self._creator.create(tenant, request, options))
        if request.has_data_uris:
            # Images are uploaded once, although the create may be repeated. A client that has disconnected meanwhile
            # may have sent the call again already: this one is not known before its create.
            request = await self._creator.upload_inline_files(tenant, request, options)
            await require_client()
        call = self._call(digest, waits=not attempt, attempt=attempt)
        try:
            try:
                result = await self._creator.create(tenant, request, options, call=call)
            except ResponsesInFlight as conflict:
                await self._wait_for_responses(tenant.id, digest, conflict.until_ms)
                call = self._call(digest, waits=False)
                result = await self._creator.create(tenant, request, options, call=call)
        except NotFound:  # the generation of the lost response was erased meanwhile
            return self._submission(tenant, None, await self._creator.create(tenant, request, options))
        if result.replayed:
            metrics.tenant_series(metrics.RESENT, tenant.id).inc()
        return self._submission(tenant, call, result)

    async def _wait_for_responses(self, tenant_id: str, digest: str, until_ms: int) -> None:
        """Wait until one response is lost, or none that was in flight at the start can be meant for this call.

        A later lease than ``until_ms`` is of a response that began after this call, or it was renewed since, by a
        process that still sends it: neither was for this call. Each pass reads one lease, however many there are.
        """
        loop, pause = asyncio.get_running_loop(), _FIRST_PAUSE
        give_up = loop.time() + 2 * LEASE.total_seconds()
        while loop.time() < give_up:
            first = await self._store.first_until(tenant_id, digest)
            if first is None or first > until_ms or first <= ids.milliseconds(self._clock()):
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _call(self, digest: str, *, waits: bool, attempt: Attempt = "") -> Call:
        now = self._clock()
        return Call(digest, now, now + LEASE, self._window, waits, attempt)

    def _submission(self, tenant: Tenant, call: Call | None, result: CreateResult) -> Submission:
        receipt = ResponseReceipt(self._store, tenant.id, call, result.generation.id, clock=self._clock)
        return Submission(result, receipt)
