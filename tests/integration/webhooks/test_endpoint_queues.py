"""Per-endpoint queues: the limit of concurrent attempts of a receiver; a dead receiver delays no other."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from service.config.settings import Settings
from service.domain.webhook import Delivery
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store import keys
from service.store.generations.generations import GenerationStore
from service.store.queues.due import Claim
from service.store.redis.client import Redis
from service.store.webhooks.deliveries import Caps, DeliveryStore, Verdict
from tests.support import factories
from tests.support.factories import NOW, Clock
from tests.support.receiver import Receiver

LEASE = timedelta(seconds=45)
CAPS = Caps(receiver=5, unproven=2)
TENANT = factories.tenant().id
OTHER = factories.tenant().id


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(
        redis_url,
        webhook_receiver_concurrency=CAPS.receiver,
        webhook_unproven_concurrency=CAPS.unproven,
    )


@pytest.fixture
def store(redis: Redis) -> DeliveryStore:
    return DeliveryStore(redis)


@pytest.fixture
async def stores(redis: Redis) -> AsyncIterator[list[DeliveryStore]]:
    """Return the workers of as many processes."""
    async with AsyncExitStack() as stack:
        yield [DeliveryStore(await stack.enter_async_context(Redis(redis.url, timeout=5))) for _ in range(8)]


async def proven(redis: Redis, *names: str) -> None:
    """Record that the last attempt of each of these endpoint queues succeeded."""
    for name in names:
        await redis.execute("HSET", keys.endpoint_health(name), "proven", 1)


async def waiting(
    redis: Redis, count: int, endpoint_id: str, tenant_id: str = TENANT, *, after: timedelta = timedelta()
) -> list[Delivery]:
    made = [factories.delivery(tenant_id=tenant_id, endpoint_id=endpoint_id) for _ in range(count)]
    g = factories.generation(tenant_id=tenant_id)
    generations = GenerationStore(redis)
    await generations.create(g, factories.due())
    assert (await generations.finish(g.canceled(0, NOW), factories.due(), made, now=NOW + after)).won
    return made


async def claimed(store: DeliveryStore, *, most: int = 100, after: timedelta = timedelta()) -> Claim:
    return await store.claim(now=NOW + after, most=most, lease=LEASE, caps=CAPS)


async def finished(
    store: DeliveryStore, names: list[str], *, good: bool = True, verdict: Verdict | None = None
) -> list[bool]:
    """Finish these attempts. Return for each whether another delivery may be claimed since."""
    more = []
    for name in names:
        delivery = await store.load(name)
        assert delivery is not None
        after = delivery.delivered(factories.attempt()) if good else delivery.dead(factories.attempt())
        written = await store.save_attempt(after, now=NOW, verdict=verdict or ("good" if good else "bad"))
        assert written.won
        more.append(written.more)
    return more


async def test_receiver_limit_caps_concurrent_deliveries(redis: Redis, store: DeliveryStore) -> None:
    await proven(redis, f"{TENANT}:whe_a")
    await waiting(redis, 20, "whe_a")
    first = await claimed(store)
    assert (len(first.taken), first.more) == (5, False)
    assert (await claimed(store)).taken == []
    assert await finished(store, [item.id for item in first.taken[:2]]) == [True, True]
    assert len((await claimed(store)).taken) == 2


async def test_full_endpoint_queue_does_not_delay_others(redis: Redis, store: DeliveryStore) -> None:
    await proven(redis, f"{TENANT}:whe_healthy")
    await waiting(redis, 1000, "whe_dead")
    await claimed(store)
    healthy = await waiting(redis, 3, "whe_healthy")
    taken = {item.id for item in (await claimed(store)).taken}
    assert taken == {delivery.id for delivery in healthy}


async def test_each_endpoint_queue_gets_its_share(redis: Redis, store: DeliveryStore) -> None:
    caps = Caps(unproven=100)
    for n in range(4):
        await waiting(redis, 50, f"whe_{n}")
    claim = await store.claim(now=NOW, most=20, lease=LEASE, caps=caps)
    records = await store.load_many([item.id for item in claim.taken])
    assert Counter(d.endpoint_id for d in records if d is not None) == {f"whe_{n}": 5 for n in range(4)}
    assert claim.more


@pytest.mark.parametrize("most", [100, 1])
async def test_long_endpoint_queue_alternates_within_tenant(redis: Redis, store: DeliveryStore, most: int) -> None:
    """Every attempt of the tenant is occupied by endpoint queues that never become empty."""
    for name in ("whe_a", "whe_b"):
        await waiting(redis, 40, name)
    assert await _turns_until(redis, store, Caps(receiver=4, unproven=4), TENANT, most=most) < 4


async def test_long_endpoint_queue_alternates_across_tenants(redis: Redis, store: DeliveryStore) -> None:
    """A full worker has a free slot when an attempt ends; the oldest delivery of all need not be the next one."""
    await waiting(redis, 60, "whe_a")
    assert await _turns_until(redis, store, Caps(), OTHER, most=1) < 4


async def _turns_until(redis: Redis, store: DeliveryStore, caps: Caps, tenant_id: str, *, most: int) -> int:
    """Return the number of attempts that end, each after a millisecond, before the first attempt of a late delivery."""
    under_way: list[str] = []
    for _ in range(8):
        claim = await store.claim(now=NOW, most=most, lease=LEASE, caps=caps)
        under_way += [item.id for item in claim.taken]
    (late,) = await waiting(redis, 1, "whe_z", tenant_id, after=timedelta(milliseconds=1))
    for turns in range(2, 40):
        now = NOW + timedelta(milliseconds=turns)
        ended = await store.load(under_way.pop(0))
        assert ended is not None
        await store.save_attempt(ended.delivered(factories.attempt()), now=now, verdict="good")
        claim = await store.claim(now=now, most=most, lease=LEASE, caps=caps)
        under_way += [item.id for item in claim.taken]
        if late.id in under_way:
            return turns - 1
    raise AssertionError("it never had its turn")


async def test_failing_receiver_gets_few_attempts_until_success(redis: Redis, store: DeliveryStore) -> None:
    await waiting(redis, 30, "whe_a")
    two = await claimed(store)
    assert len(two.taken) == CAPS.unproven, "it is not proven yet"
    await finished(store, [two.taken[0].id], good=True)
    five = await claimed(store)
    assert len(five.taken) == CAPS.receiver - 1
    await finished(store, [two.taken[1].id], good=False)
    await finished(store, [item.id for item in five.taken[:3]], verdict="slow")
    assert len((await claimed(store)).taken) == 1, "one attempt is under way"


async def test_delivery_is_claimed_by_one_worker(redis: Redis, stores: list[DeliveryStore]) -> None:
    caps = Caps(unproven=18)
    for n in range(4):
        await waiting(redis, 30, f"whe_{n}")

    async def worker(store: DeliveryStore) -> list[str]:
        claims = [await store.claim(now=NOW, most=9, lease=LEASE, caps=caps) for _ in range(20)]
        return [item.id for claim in claims for item in claim.taken]

    taken = [name for names in await asyncio.gather(*map(worker, stores)) for name in names]
    assert len(taken) == len(set(taken)) == 72
    leases = [await redis.execute("ZCARD", keys.endpoint_leases(f"{TENANT}:whe_{n}")) for n in range(4)]
    assert leases == [18, 18, 18, 18]


async def test_claims_of_dead_worker_expire_with_lease(redis: Redis, store: DeliveryStore) -> None:
    await proven(redis, f"{TENANT}:whe_a")
    made = await waiting(redis, 12, "whe_a")
    first = {item.id for item in (await claimed(store)).taken}
    assert len(first) == 5
    assert (await claimed(store, after=LEASE - timedelta(seconds=1))).taken == []
    again = (await claimed(store, after=LEASE)).taken
    assert len(again) == 5
    leases = await redis.execute("ZCARD", keys.endpoint_leases(f"{TENANT}:whe_a"))
    assert leases == 5, "the leases of the dead worker have ended"
    assert {item.id for item in again} <= {delivery.id for delivery in made}


async def test_attempt_after_lease_expiry_writes_nothing(redis: Redis, store: DeliveryStore) -> None:
    (delivery,) = await waiting(redis, 1, "whe_a")
    await claimed(store)
    await claimed(store, after=LEASE)
    attempt = factories.attempt(status=204)
    first = await store.save_attempt(delivery.delivered(attempt), now=NOW, verdict="good")
    late = await store.save_attempt(delivery.postponed(attempt, NOW), now=NOW, verdict="bad")
    assert (first.won, late.won, late.health.failing_since) == (True, False, None)
    assert await redis.execute("EXISTS", keys.due(WorkQueue.DELIVER), keys.due_of_deliveries(proven=False)) == 0


async def test_purged_delivery_leaves_no_index_entries(redis: Redis, store: DeliveryStore) -> None:
    made = await waiting(redis, 7, "whe_a")
    await claimed(store)
    await store.delete(TENANT, [delivery.id for delivery in made])
    assert await redis.execute("KEYS", f"{keys.TAG}endpoint:*") == []
    assert await redis.execute("KEYS", "*deliver*") == []
    late = await store.save_attempt(made[0].delivered(factories.attempt()), now=NOW, verdict="good")
    assert not late.won


async def test_receiver_is_host_not_path() -> None:
    queues = {
        factories.delivery(tenant_id=TENANT, url=url).endpoint_queue
        for url in ("https://a.example/1", "https://A.example/2?x=/", "https://a.example")
    }
    assert len(queues) == 1
    others = ("https://a.example:8443/1", "http://a.example/1", "https://b.example/1")
    assert len(queues | {factories.delivery(tenant_id=TENANT, url=url).endpoint_queue for url in others}) == 4
    assert factories.delivery(tenant_id=OTHER, url="https://a.example/1").endpoint_queue not in queues


# --- a whole worker ---------------------------------------------------------------------------------------------------


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


async def test_worker_claims_until_capped_queue_is_empty(runtime: Runtime, clock: Clock, receiver: Receiver) -> None:
    """Each end makes a slot for the next delivery, without a nudge."""
    owner = await runtime.tenants.service.create("acme")
    g = factories.generation(tenant_id=owner.id, created_at=clock())
    made = [factories.delivery(tenant_id=owner.id, url=f"{receiver.url}/{n}", created_at=clock()) for n in range(60)]
    await runtime.stores.generations.create(g, factories.due())
    await runtime.stores.generations.finish(g.canceled(0, clock()), factories.due(), made, now=clock())
    await runtime.queues.run(WorkQueue.DELIVER)
    async with asyncio.timeout(20):
        while len(receiver.received) < 60:
            await runtime.queues.consumers[WorkQueue.DELIVER].idle()
            await asyncio.sleep(0)
    assert len({r.headers["webhook-id"] for r in receiver.received}) == 60
