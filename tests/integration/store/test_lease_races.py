"""Renewals that race claims and transitions: at most one holder, and a moved entry stays where it was moved to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final

import pytest

from service.config.settings import Settings
from service.domain import ids
from service.domain.callback import Callback
from service.domain.generation import Generation
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.generations.callbacks import CallbackStore
from service.store.generations.creation import Created
from service.store.generations.generations import GenerationStore
from service.store.queues.due import Claimed, DueStore
from service.store.queues.leases import Lease, LeaseStore
from service.store.redis.client import Redis
from service.store.webhooks.deliveries import Caps, DeliveryStore
from tests.support import factories
from tests.support.factories import NOW

RACERS: Final = 24
LEASE: Final = timedelta(seconds=4)
SECOND: Final = timedelta(seconds=1)
TENANT: Final = factories.tenant().id


@pytest.fixture
async def racers(settings: Settings) -> AsyncIterator[list[Redis]]:
    """Clients with separate connections, like those of as many processes."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Redis(settings.redis_url, timeout=30)) for _ in range(RACERS)]


def _leases(taken: list[Claimed]) -> list[Lease]:
    return [Lease(item.id, item.queue_name, (item.until,)) for item in taken]


async def _score(redis: Redis, key: str, name: str) -> float | None:
    score = await redis.execute("ZSCORE", key, name)
    return None if score is None else float(score)


async def _polled(redis: Redis) -> Generation:
    """A submitted generation whose poll is due."""
    g = factories.generation()
    store = GenerationStore(redis)
    assert isinstance(await store.create(g, factories.due()), Created)
    submitting = await store.save(g.submitting(NOW), factories.due(dispatch=None, sweep=NOW))
    submitted = submitting.generation.submitted(factories.request_id())
    return (await store.save(submitted, factories.due(dispatch=None, poll=NOW, sweep=NOW))).generation


async def _announced(redis: Redis, count: int, *, receiver: str = "whe_a", at: timedelta = timedelta()) -> None:
    made = [factories.delivery(tenant_id=TENANT, endpoint_id=receiver) for _ in range(count)]
    g = factories.generation(tenant_id=TENANT)
    store = GenerationStore(redis)
    await store.create(g, factories.due())
    assert (await store.finish(g.canceled(0, NOW), factories.due(), made, now=NOW + at)).won


@pytest.mark.parametrize("round_", range(5))
async def test_renew_races_claim_of_ended_lease_one_holder(racers: list[Redis], round_: int) -> None:
    names = [f"gen_{n}" for n in range(50)]
    await racers[0].execute("ZADD", keys.due(WorkQueue.POLL), *(word for name in names for word in (1, name)))
    held = _leases((await DueStore(racers[0]).claim(WorkQueue.POLL, now=NOW, most=50, lease=LEASE)).taken)
    later = NOW + LEASE

    async def claim(redis: Redis) -> list[str]:
        return [item.id for item in (await DueStore(redis).claim(WorkQueue.POLL, now=later, most=7, lease=LEASE)).taken]

    async def renew() -> list[str]:
        lost = await LeaseStore(racers[0], WorkQueue.POLL).renew(held, now=later, until=later + LEASE)
        return [lease.id for lease in held if lease not in lost]

    calls: list[Awaitable[list[str]]] = [claim(redis) for redis in racers[1:]]
    calls.insert(round_, renew())
    holders = sorted(name for found in await asyncio.gather(*calls) for name in found)
    assert holders == sorted(names)


async def test_renew_by_many_holders_extends_only_their_leases(racers: list[Redis]) -> None:
    await racers[0].execute("ZADD", keys.due(WorkQueue.SWEEP), *(word for n in range(600) for word in (1, f"gen_{n}")))
    held = [
        _leases((await DueStore(redis).claim(WorkQueue.SWEEP, now=NOW, most=25, lease=LEASE)).taken) for redis in racers
    ]
    later = NOW + SECOND
    lost = await asyncio.gather(
        *(
            LeaseStore(redis, WorkQueue.SWEEP).renew(own, now=later, until=later + LEASE)
            for redis, own in zip(racers, held, strict=True)
        )
    )
    assert lost == [[]] * RACERS
    assert (await DueStore(racers[0]).claim(WorkQueue.SWEEP, now=NOW + LEASE, most=600, lease=LEASE)).taken == []
    assert (
        len((await DueStore(racers[0]).claim(WorkQueue.SWEEP, now=later + LEASE, most=600, lease=LEASE)).taken) == 600
    )


async def test_renew_of_several_pages_extends_all_leases(redis: Redis) -> None:
    await redis.execute("ZADD", keys.due(WorkQueue.POLL), *(word for n in range(450) for word in (1, f"gen_{n}")))
    held = _leases((await DueStore(redis).claim(WorkQueue.POLL, now=NOW, most=450, lease=LEASE)).taken)
    await redis.execute("ZADD", keys.due(WorkQueue.POLL), 7, "gen_3", 7, "gen_444")
    lost = await LeaseStore(redis, WorkQueue.POLL).renew(held, now=NOW, until=NOW + 2 * LEASE)
    assert {lease.id for lease in lost} == {"gen_3", "gen_444"}
    end = ids.milliseconds(NOW + 2 * LEASE)
    assert await redis.execute("ZCOUNT", keys.due(WorkQueue.POLL), end, end) == 448


Move = Callable[[Redis, Generation], Awaitable[object]]
MOVES: Final[dict[str, Move]] = {
    "postponed": lambda redis, g: GenerationStore(redis).reschedule_poll(g.id, NOW + 9 * SECOND),
    "called back": lambda redis, g: CallbackStore(redis).receive(
        g.id, g.callback_token, Callback(g.request_id or ""), now=NOW + SECOND
    ),
    "saved": lambda redis, g: GenerationStore(redis).save(
        g.started(NOW), factories.due(dispatch=None, poll=NOW + 7 * SECOND, sweep=NOW)
    ),
    "ended": lambda redis, g: GenerationStore(redis).finish(
        g.failed(factories.failure(), 0, NOW), factories.due(), [], now=NOW
    ),
    "claimed by another": lambda redis, _: DueStore(redis).claim(WorkQueue.POLL, now=NOW + LEASE, most=1, lease=LEASE),
}


@pytest.mark.parametrize("move", MOVES)
async def test_renew_of_moved_entry_leaves_its_score(redis: Redis, move: str) -> None:
    g = await _polled(redis)
    held = _leases((await DueStore(redis).claim(WorkQueue.POLL, now=NOW, most=1, lease=LEASE)).taken)
    await MOVES[move](redis, g)
    moved_to = await _score(redis, keys.due(WorkQueue.POLL), g.id)
    assert moved_to != ids.milliseconds(NOW + LEASE)
    lost = await LeaseStore(redis, WorkQueue.POLL).renew(held, now=NOW + SECOND, until=NOW + SECOND + LEASE)
    assert lost == held
    assert await _score(redis, keys.due(WorkQueue.POLL), g.id) == moved_to


@pytest.mark.parametrize("written", [True, False])
async def test_renew_after_renewal_without_reply_extends_lease(redis: Redis, *, written: bool) -> None:
    """The renewal may have been written or not: both scores are known to the holder."""
    await redis.execute("ZADD", keys.due(WorkQueue.POLL), 1, "gen_1")
    (lease,) = _leases((await DueStore(redis).claim(WorkQueue.POLL, now=NOW, most=1, lease=LEASE)).taken)
    for n in range(1, 20):
        lease.add_score(ids.milliseconds(NOW + n * SECOND + LEASE))
    if written:
        await redis.execute("ZADD", keys.due(WorkQueue.POLL), lease.scores[-1], "gen_1")
    assert await LeaseStore(redis, WorkQueue.POLL).renew([lease], now=NOW, until=NOW + 30 * SECOND) == []
    assert await _score(redis, keys.due(WorkQueue.POLL), "gen_1") == ids.milliseconds(NOW + 30 * SECOND)
    assert lease.scores == (ids.milliseconds(NOW + 30 * SECOND),)


async def test_renew_of_deliveries_extends_every_copy_of_the_lease(redis: Redis) -> None:
    store, caps = DeliveryStore(redis), Caps(receiver=5, unproven=5)
    for name in ("whe_a", "whe_b"):
        await _announced(redis, 3, receiver=name)
    taken = (await store.claim(now=NOW, most=99, lease=LEASE, caps=caps)).taken
    for n in range(1, 20):
        now = NOW + n * SECOND
        assert await LeaseStore(redis, WorkQueue.DELIVER).renew(_leases(taken), now=now, until=now + LEASE) == []
        taken = [Claimed(item.id, item.due_at, ids.milliseconds(now + LEASE), item.queue_name) for item in taken]
        assert (await store.claim(now=now, most=99, lease=LEASE, caps=caps)).taken == []
    for item in taken:
        for key in (
            keys.endpoint_queue(item.queue_name),
            keys.endpoint_leases(item.queue_name),
        ):
            assert await _score(redis, key, item.id) == item.until
        assert (
            await _score(redis, keys.endpoint_queues_of_tenant(TENANT, proven=False), item.queue_name) == item.until
        ), "not claimed once a lease"


@pytest.mark.parametrize("round_", range(5))
async def test_renew_races_claim_of_ended_deliveries_one_holder(racers: list[Redis], round_: int) -> None:
    caps, later = Caps(), NOW + LEASE
    for n in range(6):
        await _announced(racers[0], 4, receiver=f"whe_{n}")
    first = (await DeliveryStore(racers[0]).claim(now=NOW, most=99, lease=LEASE, caps=caps)).taken
    held = _leases(first)

    async def claim(redis: Redis) -> list[str]:
        found = await DeliveryStore(redis).claim(now=later, most=10, lease=LEASE, caps=caps)
        return [item.id for item in found.taken]

    async def renew() -> list[str]:
        lost = await LeaseStore(racers[0], WorkQueue.DELIVER).renew(held, now=later, until=later + LEASE)
        return [lease.id for lease in held if lease not in lost]

    calls: list[Awaitable[list[str]]] = [claim(redis) for redis in racers[1:]]
    calls.insert(round_, renew())
    found = [name for names in await asyncio.gather(*calls) for name in names]
    assert len(found) == len(set(found)), "one holder each"
    for lease in held:
        scores = {
            await _score(racers[0], key, lease.id)
            for key in (
                keys.endpoint_queue(lease.queue_name),
                keys.endpoint_leases(lease.queue_name),
            )
        }
        assert scores == {ids.milliseconds(later + LEASE)} if lease.id in found else len(scores) > 0


@pytest.mark.parametrize(
    ("caps", "more", "claimable_at"),
    [
        (Caps(), 500, timedelta(seconds=4.5)),  # the next attempt of another delivery, between two ends of the lease
        (Caps(unproven=1), 0, timedelta(seconds=12)),  # the limit of this endpoint is reached
    ],
    ids=["due between", "receiver full"],
)
async def test_renew_leaves_other_deliveries_of_endpoint_claimable(
    redis: Redis, caps: Caps, more: int, claimable_at: timedelta
) -> None:
    """The endpoint queue is due when a delivery in it can be claimed, however often the lease is renewed."""
    store = DeliveryStore(redis)
    await _announced(redis, 1)
    (item,) = (await store.claim(now=NOW, most=1, lease=LEASE, caps=caps)).taken
    await _announced(redis, 1, at=LEASE + timedelta(milliseconds=more) if more else timedelta())
    await store.claim(now=NOW, most=9, lease=LEASE, caps=caps)
    lease = Lease(item.id, item.queue_name, (item.until,))
    for n in range(1, 9):  # the holder dies after the last one
        now = NOW + n * SECOND
        if now >= NOW + claimable_at:
            break
        assert await LeaseStore(redis, WorkQueue.DELIVER).renew([lease], now=now, until=now + LEASE) == []
        assert (await store.claim(now=now, most=9, lease=LEASE, caps=caps)).taken == []
    assert len((await store.claim(now=NOW + claimable_at, most=9, lease=LEASE, caps=caps)).taken) == 1


async def test_renew_leaves_dead_holders_delivery_claimable(redis: Redis) -> None:
    """Two deliveries of one endpoint, claimed in the same millisecond; the holder of one of them is dead."""
    store, caps = DeliveryStore(redis), Caps(unproven=2)
    await _announced(redis, 3)
    alive, _dead = (await store.claim(now=NOW, most=2, lease=LEASE, caps=caps)).taken
    lease = Lease(alive.id, alive.queue_name, (alive.until,))
    for n in range(1, 4):
        now = NOW + n * SECOND
        assert await LeaseStore(redis, WorkQueue.DELIVER).renew([lease], now=now, until=now + LEASE) == []
    (item,) = (await store.claim(now=NOW + LEASE, most=9, lease=LEASE, caps=caps)).taken
    assert item.id != alive.id
