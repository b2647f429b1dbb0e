"""The usage equals the ledger, whatever was booked: by day, by end user and day, by end user and month."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.domain.adjustment import Correction
from service.domain.budgets import day
from service.domain.generation import Generation
from service.domain.tenant import Tenant
from service.runtime import Runtime
from service.store import keys
from service.store.redis.client import Redis
from tests.support import factories
from tests.support.factories import Clock

STEPS = 60
END_USERS = ("anna", "ben", None)


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 2, 27, 12, tzinfo=UTC), ahead=timedelta())


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


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_usage_equals_the_ledger(runtime: Runtime, redis: Redis, clock: Clock, seed: int) -> None:
    tenant = await runtime.tenants.service.create("acme")
    books, dates = Bookkeeper(runtime, tenant, clock, seed), {day(clock())}
    for _ in range(STEPS):
        await books.step()
        dates.add(day(clock()))
    assert books.ended
    assert (await runtime.operations.audit.run()).clean  # the windows equal the ledger: they are the reference

    months: dict[str, Counter[str]] = {}
    for date in sorted(dates):
        listed = await entries(redis, keys.usage_of_end_users(tenant.id, date))
        windows = {name: await spent(redis, keys.money_of_end_user(tenant.id, name, date)) for name in listed}
        assert listed == windows
        assert sum(listed.values()) == await spent(redis, keys.usage(tenant.id, date))
        months.setdefault(date[:7], Counter()).update(listed)
    for month, sums in months.items():
        assert await entries(redis, keys.usage_of_end_users(tenant.id, month)) == dict(sums)
        assert sums.total() == await spent(redis, keys.money_of_tenant(tenant.id, month))
    assert len(months) == 2, "the steps cover two months"


async def entries(redis: Redis, key: str) -> dict[str, int]:
    rows = await redis.execute("ZRANGE", key, 0, -1, "WITHSCORES")
    return {name.decode(): int(float(score)) for name, score in zip(rows[::2], rows[1::2], strict=True)}


async def spent(redis: Redis, key: str) -> int:
    return int(await redis.execute("HGET", key, "spent") or 0)
