"""Slots: none leaks and none is given twice, whichever process dies between the steps of a dispatch."""

import random
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.domain.generation import Due, Generation
from service.domain.status import Status
from service.domain.tenant import Limits, Tenant
from service.runtime import Runtime
from service.store import keys
from tests.support import factories
from tests.support.factories import Clock

LEASE = timedelta(seconds=15)
SLOTS = 5
CAP = 2
#: Where the process that was given a generation dies, or what it lives to do.
STEPS = ("claimed", "meant", "accepted", "refused", "unknown", "ended", "canceled")


class Dispatcher:
    """Claims like a worker, and dies at a given step."""

    def __init__(self, runtime: Runtime, clock: Clock) -> None:
        self.runtime = runtime
        self.store = runtime.stores.generations
        self.clock = clock

    async def queue(self, tenant: Tenant) -> None:
        now = self.clock.advance(timedelta(milliseconds=1))
        g = factories.generation(tenant_id=tenant.id, created_at=now)
        await self.store.create(g, factories.due(now))

    async def turn(self, step: str, most: int) -> None:
        claim = await self.runtime.stores.queue.claim(now=self.clock(), most=most, lease=LEASE, slots=SLOTS)
        await self.check()
        for item in claim.taken:
            g = await self.store.load(item.id)
            assert g is not None
            await self._go(g, step)

    async def _go(self, g: Generation, step: str) -> None:
        now = self.clock()
        later = Due(dispatch=now + timedelta(seconds=3), sweep=g.expires_at)
        if step == "claimed" or g.status is not Status.QUEUED:
            return
        if step == "canceled":
            await self.store.finish(g.canceled(0, now), Due(sweep=now), [], now=now)
            return
        g = (await self.store.save(g.submitting(now), Due(sweep=now))).generation
        if step == "refused":
            await self.store.save(g.requeued(), later)
        elif step == "unknown":
            await self.store.save(g.unconfirmed(), Due(sweep=now))
        elif step in ("accepted", "ended"):
            g = (await self.store.save(g.submitted(factories.request_id()), Due(poll=now, sweep=now))).generation
            if step == "ended":
                await self.store.finish(g.canceled(0, now), Due(sweep=now), [], now=now)

    async def check(self) -> None:
        """Assert that no more slots are used than exist, by the account or by a tenant."""
        assert await self.runtime.stores.queue.slots_used() <= SLOTS
        for key in await self.runtime.redis.execute("KEYS", keys.slots_of_tenant("*")):
            assert int(await self.runtime.redis.execute("SCARD", key.decode())) <= CAP

    async def rescue(self) -> None:
        """End everything, as sweeps, polls and an operator would in time."""
        for name in await self.runtime.redis.execute("SMEMBERS", keys.SLOTS):
            while (g := await self.store.load(name.decode())) and not g.is_terminal:
                now = self.clock()
                if g.status is Status.SUBMITTING:
                    await self.store.save(g.unconfirmed(), Due(sweep=now))
                elif g.status is not Status.QUEUED:
                    await self.store.finish(g.failed(factories.failure(), 0, now), Due(sweep=now), [], now=now)
                else:
                    break

    async def work_off(self) -> None:
        for _ in range(1000):
            await self.rescue()
            if not await self.runtime.stores.queue.unfinished():
                return
            self.clock.advance(LEASE)
            await self.turn("ended", 100)
        raise AssertionError("something is never dispatched")


@pytest.fixture
def dispatcher(runtime: Runtime, clock: Clock) -> Dispatcher:
    return Dispatcher(runtime, clock)


async def _tenants(runtime: Runtime) -> list[Tenant]:
    return [await runtime.tenants.service.create(name, Limits(concurrent_generations=CAP)) for name in "abc"]


async def _nothing_is_left(runtime: Runtime) -> None:
    assert await runtime.stores.queue.slots_used() == 0
    assert await runtime.redis.execute("KEYS", keys.slots_of_tenant("*")) == []
    for key in (keys.CLAIMED, keys.DELAYED, keys.UNCONFIRMED):
        assert await runtime.redis.execute("ZCARD", key) == 0
    assert (await runtime.operations.audit.run()).differences == []


async def test_slots_after_300_crashes_do_not_leak(dispatcher: Dispatcher, runtime: Runtime, clock: Clock) -> None:
    chance = random.Random(7)  # noqa: S311  (a history, not a secret)
    tenants = await _tenants(runtime)
    for n in range(300):
        await dispatcher.queue(chance.choice(tenants))
        clock.advance(timedelta(seconds=chance.choice([0, 1, 5, 15])))
        await dispatcher.turn(chance.choice(STEPS), chance.randint(1, 4))
        if n % 10 == 9:
            await dispatcher.rescue()
    assert (await runtime.operations.audit.run()).differences == []
    await dispatcher.work_off()
    await _nothing_is_left(runtime)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("queue"), st.integers(0, 2)),
        st.tuples(st.sampled_from(STEPS), st.integers(1, 4)),
        st.tuples(st.just("later"), st.integers(1, 20)),
        st.tuples(st.just("rescue"), st.just(0)),
    ),
    min_size=10,
    max_size=60,
)


@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(history=steps)
async def test_slots_after_any_history_do_not_leak(
    dispatcher: Dispatcher, runtime: Runtime, clock: Clock, history: list[tuple[str, int]]
) -> None:
    await runtime.redis.execute("FLUSHALL")
    tenants = await _tenants(runtime)
    for step, number in history:
        if step == "queue":
            await dispatcher.queue(tenants[number])
        elif step == "later":
            clock.advance(timedelta(seconds=number))
        elif step == "rescue":
            await dispatcher.rescue()
        else:
            await dispatcher.turn(step, number)
    await dispatcher.work_off()
    await _nothing_is_left(runtime)
