"""Creating for clients that send a POST again when the connection broke: a lost answer is given again, once.

A call that was accepted is remembered until its answer has been sent. An equal call that comes meanwhile waits for what
becomes of that: sent, then it is a wish of its own; lost, then it gets what the first one made.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
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
from service.usecases.generations.generations import CreateOptions, CreateResult, Generations, ResponsesInFlight

#: An answer under way for longer has died with its process; who takes longer prolongs it.
LEASE: Final = timedelta(seconds=2)
_FIRST_LOOK: Final = 0.005  # seconds: most answers are sent by then
_LONGEST_LOOK: Final = 0.1


class ResponseReceipt:
    """What became of one call's answer; each of these is said at most once, and only the first counts."""

    def __init__(
        self, answers: ResponseReceiptStore, tenant_id: str, call: Call | None, generation_id: str, *, clock: Clock
    ) -> None:
        self._answers = answers
        self._tenant_id = tenant_id
        self._call = call
        self._generation_id = generation_id
        self._clock = clock

    async def delivered(self) -> None:
        if self._call is not None:
            with self._unheard():
                await self._answers.delivered(self._tenant_id, self._call.digest, self._generation_id)

    async def lost(self) -> None:
        metrics.RESPONSES_LOST.labels(self._tenant_id).inc()
        if self._call is not None:
            window = self._call.window
            with self._unheard():
                await self._answers.lost(self._tenant_id, self._call.digest, self._generation_id, window=window)

    async def prolong(self) -> None:
        if self._call is not None:
            until = self._clock() + LEASE
            with self._unheard():
                await self._answers.prolong(
                    self._tenant_id, self._call.digest, self._generation_id, until=until, window=self._call.window
                )

    @contextlib.contextmanager
    def _unheard(self) -> Iterator[None]:
        try:
            yield
        except StoreUnavailable as error:  # it lapses by itself; the caller has, or has not, its answer either way
            log.get(__name__).warning("answer not noted", generation_id=self._generation_id, error=error.detail)


@dataclass(frozen=True, slots=True)
class Submission:
    creation: CreateResult
    answer: ResponseReceipt

    @property
    def generation(self) -> Generation:
        return self.creation.generation


class ResendDetector:
    def __init__(
        self, generations: Generations, answers: ResponseReceiptStore, *, window: timedelta, clock: Clock
    ) -> None:
        self._generations = generations
        self._answers = answers
        self._window = window
        self._clock = clock

    async def create(
        self,
        tenant: Tenant,
        request: CreateGeneration,
        idempotency_key: str | None,
        terms: CreateOptions,
        *,
        digest: str,
    ) -> Submission:
        """As ``Generations.create``; ``digest`` is the same for equal calls. A call with a key needs no guessing."""
        if idempotency_key is not None or not self._window:
            made = await self._generations.create(tenant, request, idempotency_key, terms)
            return Submission(made, self._answer(tenant, None, made))
        request = await self._generations.with_uploaded_images(
            tenant, request, terms
        )  # once, however often it has to look
        seen, others, pause = _Seen(), frozenset[str](), _FIRST_LOOK
        while True:
            call = self._call(digest, others)
            try:
                made = await self._generations.create(tenant, request, None, replace(terms, call=call))
            except ResponsesInFlight as under_way:
                if others == (others := others | seen.others(under_way.leases)):
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _LONGEST_LOOK)
            except NotFound:  # what the lost answer told of was erased meanwhile
                made = await self._generations.create(tenant, request, None, terms)
                return Submission(made, self._answer(tenant, None, made))
            else:
                return Submission(made, self._answer(tenant, call, made))

    def _call(self, digest: str, others: frozenset[str]) -> Call:
        now = self._clock()
        return Call(digest, now, now + LEASE, self._window, others)

    def _answer(self, tenant: Tenant, call: Call | None, made: CreateResult) -> ResponseReceipt:
        return ResponseReceipt(self._answers, tenant.id, call, made.generation.id, clock=self._clock)


class _Seen:
    """Answers that were under way when this call came; only one of those can have been meant for it."""

    def __init__(self) -> None:
        self._first: Mapping[str, int] | None = None
        self._give_up = asyncio.get_running_loop().time() + 2 * LEASE.total_seconds()

    def others(self, leases: Mapping[str, int]) -> frozenset[str]:
        """Those of other callers: begun later, prolonged since by who is there to send them, or past all patience."""
        if self._first is None:
            self._first = leases
        late = asyncio.get_running_loop().time() > self._give_up
        return frozenset(name for name, until in leases.items() if late or until != self._first.get(name))
