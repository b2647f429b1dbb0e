"""Order of dispatch by weights, slots and priorities: the script against real Redis, with a test's clock."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service.domain.generation import Due, Generation
from service.domain.tenant import Limits, Tenant
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store import keys
from service.store.queues.due import Claimed
from tests.support import factories
from tests.support.factories import Clock

LEASE = timedelta(seconds=15)
TICK = timedelta(milliseconds=1)


class Line:
    """Tenants with queued generations, and a dispatcher that claims and ends them."""

    def __init__(self, runtime: Runtime, clock: Clock) -> None:
        self.runtime = runtime
        self.clock = clock

    async def tenant(self, **limits: Any) -> Tenant:
        return await self.runtime.tenants.service.create("acme", Limits(**limits))

    async def queue(self, tenant: Tenant, count: int, **changes: int) -> list[str]:
        ids = []
        for _ in range(count):
            now = self.clock.advance(TICK)
            g = factories.generation(tenant_id=tenant.id, created_at=now, **changes)
            await self.runtime.stores.generations.create(g, factories.due(now))
            ids.append(g.id)
        return ids

    async def claim(self, *, slots: int, most: int = 100) -> list[Claimed]:
        return (await self.runtime.stores.queue.claim(now=self.clock(), most=most, lease=LEASE, slots=slots)).taken

    async def load(self, generation_id: str) -> Generation:
        g = await self.runtime.stores.generations.load(generation_id)
        assert g is not None
        return g

    async def end(self, generation_id: str) -> None:
        """End a generation, which frees its slot."""
        g = await self.load(generation_id)
        store, now = self.runtime.stores.generations, self.clock()
        g = (await store.save(g.submitting(now), Due(sweep=now))).generation
        g = (await store.save(g.submitted(factories.request_id()), Due(poll=now, sweep=now))).generation
        assert (await store.finish(g.canceled(0, now), Due(sweep=now), [], now=now)).won

    async def owners(self, dispatched: list[Claimed]) -> list[str]:
        return [(await self.load(item.id)).tenant_id for item in dispatched]

    async def served(self, count: int, *, slots: int) -> Counter[str]:
        """Dispatch ``count`` generations, each slot freed in order of its claim. Return the number by tenant."""
        order: list[str] = []
        under_way: list[Claimed] = []
        while len(order) < count:
            new = await self.claim(slots=slots)
            assert new or under_way, "nothing is left to dispatch"
            order += await self.owners(new)
            under_way += new
            self.clock.advance(TICK)
            await self.end(under_way.pop(0).id)
        return Counter(order[:count])


@pytest.fixture
def line(runtime: Runtime, clock: Clock) -> Line:
    return Line(runtime, clock)


async def test_fairness_new_tenant_passes_a_backlog_of_5000(line: Line) -> None:
    crowd, one = await line.tenant(), await line.tenant()
    await line.queue(crowd, 5000)
    under_way = await line.claim(slots=10)
    (single,) = await line.queue(one, 1)
    dispatched = []
    for _ in range(2):
        await line.end(under_way.pop(0).id)
        dispatched += [item.id for item in await line.claim(slots=10)]
    assert single in dispatched


async def test_fairness_weights_1_to_3_give_1_to_3(line: Line) -> None:
    light, heavy = await line.tenant(weight=1), await line.tenant(weight=3)
    for tenant in (light, heavy):
        await line.queue(tenant, 1000)
    served = await line.served(1000, slots=8)
    assert served[heavy.id] / served[light.id] == pytest.approx(3, rel=0.05)


async def test_fairness_unused_share_goes_to_others(line: Line) -> None:
    """Dispatch is work-conserving: no slot is idle while a generation may use it."""
    capped, open_ = await line.tenant(concurrent_generations=2, weight=100), await line.tenant()
    for tenant in (capped, open_):
        await line.queue(tenant, 30)
    owners = Counter(await line.owners(await line.claim(slots=20)))
    assert owners == {capped.id: 2, open_.id: 18}


async def test_limits_ignore_text_fields_of_the_tenant(line: Line) -> None:
    """The script searches the record for field names, and texts of the tenant may contain the same characters."""
    text = '"concurrent_generations":0,"weight":50,"paused":{"limits":{"weight":50'
    hostile = await line.runtime.tenants.service.create(text, Limits(webhook_url=f"https://example.com/?{text}"))
    plain = await line.tenant()
    for tenant in (hostile, plain):
        await line.queue(tenant, 30)
    assert Counter(await line.owners(await line.claim(slots=20))) == {hostile.id: 10, plain.id: 10}


async def test_limits_after_long_texts_are_read(line: Line) -> None:
    text = '{"weight' * 20
    capped = await line.runtime.tenants.service.create(
        text, Limits(concurrent_generations=12, weight=3, webhook_url=text)
    )
    plain = await line.tenant()
    for tenant in (capped, plain):
        await line.queue(tenant, 30)
    assert Counter(await line.owners(await line.claim(slots=12))) == {capped.id: 9, plain.id: 3}
    assert Counter(await line.owners(await line.claim(slots=30))) == {capped.id: 3, plain.id: 15}


async def test_tenant_slot_freed_is_used_again(line: Line) -> None:
    capped = await line.tenant(concurrent_generations=1)
    first, second = await line.queue(capped, 2)
    assert [item.id for item in await line.claim(slots=9)] == [first]
    assert await line.claim(slots=9) == []
    await line.end(first)
    assert [item.id for item in await line.claim(slots=9)] == [second]


async def test_tenant_cap_raised_applies_at_once(line: Line) -> None:
    capped = await line.tenant(concurrent_generations=1)
    await line.queue(capped, 5)
    assert len(await line.claim(slots=9)) == 1
    assert await line.claim(slots=9) == []
    await line.runtime.tenants.service.update(capped.id, lambda t: replace(t, limits=Limits(concurrent_generations=3)))
    assert len(await line.claim(slots=9)) == 2


async def test_tenant_cap_lowered_ends_no_running_job(line: Line) -> None:
    tenant = await line.tenant()
    await line.queue(tenant, 6)
    under_way = await line.claim(slots=4)
    await line.runtime.tenants.service.update(tenant.id, lambda t: replace(t, limits=Limits(concurrent_generations=2)))
    await line.end(under_way[0].id)
    assert await line.claim(slots=4) == [], "three of two are under way"
    for item in under_way[1:]:
        await line.end(item.id)
    assert len(await line.claim(slots=4)) == 2


async def test_priority_orders_within_one_tenant_only(line: Line) -> None:
    eager, calm = await line.tenant(), await line.tenant()
    (low,) = await line.queue(eager, 1)
    (high,) = await line.queue(eager, 1, priority=9)
    (other,) = await line.queue(calm, 1)
    order = [(await line.claim(slots=n, most=1))[0].id for n in (1, 2, 3)]
    assert order.index(high) < order.index(low)
    assert order.index(other) < 2, "the priority of one tenant costs another nothing"


async def test_fairness_tenant_that_returns_gains_nothing(line: Line) -> None:
    """A tenant with a short queue does not count as new each time."""
    steady, sly = await line.tenant(), await line.tenant()
    await line.queue(steady, 100)
    await line.queue(sly, 1)
    owners: list[str] = []
    for _ in range(40):
        (item,) = await line.claim(slots=1, most=1)
        (owner,) = await line.owners([item])
        owners.append(owner)
        await line.end(item.id)
        if owner == sly.id:
            await line.queue(sly, 1)
    assert Counter(owners)[sly.id] == 20


async def test_fairness_service_without_rivals_counts(line: Line) -> None:
    """Its virtual time remains after its queue is empty, until the others have caught up."""
    light, heavy = await line.tenant(weight=1), await line.tenant(weight=10)
    (name,) = await line.queue(light, 1)
    assert len(await line.claim(slots=9)) == 1
    await line.end(name)
    await line.queue(light, 1)
    await line.queue(heavy, 30)
    owners = [(await line.owners(await line.claim(slots=n, most=1)))[0] for n in range(1, 13)]
    assert owners.index(light.id) in (10, 11)


async def test_fairness_idle_time_gains_nothing(line: Line) -> None:
    busy, late = await line.tenant(), await line.tenant()
    await line.queue(busy, 60)
    await line.served(30, slots=1)
    await line.queue(late, 30)
    assert (await line.served(20, slots=1))[late.id] in (10, 11), "half of them, whichever tenant is first"


async def test_requeued_submit_keeps_its_position(line: Line) -> None:
    tenant = await line.tenant()
    first, second = await line.queue(tenant, 2)
    (item,) = await line.claim(slots=1)
    assert item.id == first
    store, again = line.runtime.stores.generations, line.clock() + timedelta(seconds=10)
    g = (await store.save((await line.load(first)).submitting(line.clock()), Due(sweep=again))).generation
    assert (await store.save(g.requeued(), Due(dispatch=again, sweep=again))).won
    assert [item.id for item in await line.claim(slots=1)] == [second], "the first one waits"
    line.clock.advance(timedelta(seconds=10))
    (third,) = await line.queue(tenant, 1)
    await line.end(second)
    assert [item.id for item in await line.claim(slots=1)] == [first], f"it is older than {third}"


async def test_paused_tenant_waits_and_others_do_not(line: Line) -> None:
    paused, open_ = await line.tenant(weight=9), await line.tenant()
    await line.runtime.tenants.service.pause(paused.id, "too many complaints")
    for tenant in (paused, open_):
        await line.queue(tenant, 2)
    assert await line.owners(await line.claim(slots=9)) == [open_.id] * 2
    assert await line.claim(slots=9) == []
    await line.runtime.tenants.service.resume(paused.id)
    assert await line.owners(await line.claim(slots=9)) == [paused.id] * 2


async def test_dispatch_scans_past_tenants_without_slots(line: Line) -> None:
    """The bound of the loop ends one decision only; the next decision continues from there."""
    blocked = [await line.tenant() for _ in range(600)]
    for tenant in blocked:
        await line.runtime.tenants.service.pause(tenant.id, "all but one")
        await line.queue(tenant, 1)
    free = await line.tenant()
    await line.queue(free, 1)
    claim = await line.runtime.stores.queue.claim(now=line.clock(), most=9, lease=LEASE, slots=9)
    assert claim.more
    assert [item.id for item in claim.taken] == []
    assert await line.owners(await line.claim(slots=9)) == [free.id]


async def test_deleted_tenant_leaves_no_virtual_time(line: Line) -> None:
    gone = await line.tenant()
    (name,) = await line.queue(gone, 1)
    await line.claim(slots=1)
    await line.end(name)
    await line.runtime.tenants.service.delete(gone.id, drain=False)
    for key in (keys.ACTIVE_TENANTS, keys.IDLE_TENANTS):
        assert await line.runtime.redis.execute("ZSCORE", key, gone.id) is None


async def test_dispatch_skips_canceled_generations(line: Line) -> None:
    tenant = await line.tenant()
    first, second = await line.queue(tenant, 2)
    g, now = await line.load(first), line.clock()
    await line.runtime.stores.generations.finish(g.canceled(0, now), Due(sweep=now), [], now=now)
    assert [item.id for item in await line.claim(slots=9)] == [second]
    assert await line.runtime.redis.execute("ZCARD", keys.due(WorkQueue.DISPATCH)) == 0
