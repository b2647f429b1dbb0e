"""Random operations that book money of one tenant."""

import random
from datetime import timedelta
from typing import Any

from service.domain.adjustment import Correction
from service.domain.generation import Generation
from service.domain.tenant import Tenant
from service.runtime import Runtime
from tests.support import factories
from tests.support.factories import Clock

END_USERS = ("anna", "ben", None)


class Bookkeeper:
    """Carries out random operations that book money."""

    def __init__(self, runtime: Runtime, tenant: Tenant, clock: Clock, seed: int) -> None:
        self._runtime, self._tenant, self._clock = runtime, tenant, clock
        self._random = random.Random(seed)  # noqa: S311
        self.open: list[str] = []
        self.ended: list[str] = []
        self.given_up: list[str] = []

    async def step(self) -> None:
        await self._random.choice((self._create, self._create, self._end, self._give_up, self._adjust, self._revive))()
        self._clock.advance(timedelta(hours=self._random.choice((0, 1, 5))))

    async def _create(self) -> None:
        request = factories.create_request(
            **({} if (name := self._random.choice(END_USERS)) is None else {"end_user_id": name})
        )
        self.open.append((await self._runtime.generations.creator.create(self._tenant, request)).generation.id)

    async def _end(self) -> None:
        cost = self._random.choice((0, 5, 700_000, 1_512_000))
        await self._move(self.open, self.ended, lambda g: g.succeeded(factories.output(), cost, self._clock()))

    async def _give_up(self) -> None:
        failure = factories.failure(code="upstream_timeout")
        cost = self._random.choice((0, 250_000))
        await self._move(self.open, self.given_up, lambda g: g.failed(failure, cost, self._clock()))

    async def _move(self, source: list[str], target: list[str], end: Any) -> None:
        if not source:
            return
        name = source.pop(self._random.randrange(len(source)))
        g = await self._runtime.stores.generations.load(name)
        moves = [end]
        if g is not None and g.request_id is None:
            moves = [lambda g: g.submitting(self._clock()), lambda g: g.submitted(factories.request_id()), end]
        for move in moves:
            assert await self._runtime.transitions.apply(name, move) is not None
        target.append(name)

    async def _revive(self) -> None:
        if self.given_up:
            name = self.given_up.pop()
            await self._runtime.operations.unconfirmed.revive(name, "fal has billed it")
            self.open.append(name)

    async def _adjust(self) -> None:
        if not self.ended:
            return
        g = await self._runtime.stores.generations.load(self._random.choice(self.ended))
        assert isinstance(g, Generation)
        amount = self._random.choice((-(g.actual_cost or 0), 3, 100_000))
        correction = Correction(amount, "jane", "billed differently")
        await self._runtime.operations.adjustments.of_generation(g.id, correction, expected=g.actual_cost or 0)
