"""The usage equals the ledger, whatever was booked: by day, by end user and day, by end user and month."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from service.domain.budgets import day
from service.runtime import Runtime
from service.store import keys
from service.store.redis.client import Redis
from tests.support.bookkeeper import Bookkeeper
from tests.support.factories import Clock

STEPS = 60


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 2, 27, 12, tzinfo=UTC), ahead=timedelta())


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
