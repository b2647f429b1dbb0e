"""One race for each Lua script: many concurrent callers on separate connections, of which exactly one wins."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from service.config.settings import Settings
from service.domain import ids
from service.domain.budgets import day
from service.domain.callback import Callback
from service.domain.generation import Due, Generation
from service.domain.status import Status
from service.domain.webhook import DeliveryStatus
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.generations.callbacks import CallbackStore
from service.store.generations.creation import Bound, Created
from service.store.generations.generations import Filter, GenerationStore
from service.store.money.money import MoneyStore
from service.store.queues.due import DueStore
from service.store.queues.tenant_queue import QueueStore
from service.store.redis.client import Redis
from service.store.tenants.api_keys import ApiKeyStore
from service.store.tenants.sealing import Purpose, Sealer
from service.store.tenants.tenants import TenantStore
from service.store.trail.reading import TrailReader
from service.store.trail.trail import TenantShare, TrailStore
from service.store.webhooks.deliveries import DeliveryStore
from tests.support import factories
from tests.support.factories import NOW

RACERS = 24
LEASE = timedelta(seconds=30)


@pytest.fixture
async def racers(settings: Settings) -> AsyncIterator[list[Redis]]:
    """Clients with separate connections, like those of as many processes."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Redis(settings.redis_url, timeout=30)) for _ in range(RACERS)]


async def _stored(redis: Redis, g: Generation, due: Due | None = None) -> Generation:
    assert isinstance(await GenerationStore(redis).create(g, due or factories.due()), Created)
    return g


async def _score(redis: Redis, drain: WorkQueue, name: str) -> float | None:
    score = await redis.execute("ZSCORE", keys.due(drain), name)
    return None if score is None else float(score)


async def test_create_idempotency_key_races_bind_one_generation(racers: list[Redis]) -> None:
    first = factories.generation(idempotency_digest="order-7")
    attempts = [replace(first, id=factories.generation().id, callback_token=f"token-{n}") for n, _ in enumerate(racers)]
    outcomes = await asyncio.gather(
        *(GenerationStore(redis).create(g, factories.due()) for redis, g in zip(racers, attempts, strict=True))
    )
    winners = [(g, o) for g, o in zip(attempts, outcomes, strict=True) if isinstance(o, Created)]
    ((winner, created),) = winners
    assert [o for o in outcomes if o is not created] == [Bound(winner.id, same=True)] * (RACERS - 1)
    page = await GenerationStore(racers[0]).page(Filter(tenant_id=first.tenant_id), limit=50, after=None)
    assert [g.id for g in page.items] == [winner.id]
    assert await racers[0].execute("ZCARD", keys.due(WorkQueue.DISPATCH)) == 1
    assert created.nudges == (WorkQueue.DISPATCH,)
    standing = await MoneyStore(racers[0]).standing(keys.money_of_account(day(NOW)))
    assert (standing.held, standing.count) == (first.estimated_cost, 1)


async def test_create_idempotency_key_with_other_payload_mismatches(redis: Redis) -> None:
    first = await _stored(redis, factories.generation(idempotency_digest="order-7"))
    other = replace(factories.generation(idempotency_digest="order-7"), tenant_id=first.tenant_id, fingerprint="0" * 64)
    assert await GenerationStore(redis).create(other, factories.due()) == Bound(first.id, same=False)
    assert await GenerationStore(redis).load(other.id) is None


async def test_save_races_from_one_version_one_wins(racers: list[Redis]) -> None:
    g = await _stored(racers[0], factories.generation())
    moves = await asyncio.gather(*(GenerationStore(redis).save(g.submitting(NOW), Due(sweep=NOW)) for redis in racers))
    assert Counter(m.won for m in moves) == {True: 1, False: RACERS - 1}
    stored = await GenerationStore(racers[0]).load(g.id)
    assert stored is not None
    assert (stored.status, stored.version) == (Status.SUBMITTING, 2)
    assert await _score(racers[0], WorkQueue.DISPATCH, g.id) is None
    assert await racers[0].execute("SMEMBERS", keys.SLOTS) == [g.id.encode()]


async def test_save_of_requeued_generation_frees_slot_and_nudges(redis: Redis) -> None:
    store = GenerationStore(redis)
    g = await _stored(redis, factories.generation())
    submitting = (await store.save(g.submitting(NOW), Due(sweep=NOW))).generation
    await redis.execute("DEL", keys.nudged(WorkQueue.DISPATCH))
    moved = await store.save(submitting.requeued(), Due(dispatch=NOW, sweep=NOW))
    assert moved.won
    assert moved.nudges == (WorkQueue.DISPATCH,)
    assert await redis.execute("SCARD", keys.SLOTS) == 0
    assert await _score(redis, WorkQueue.DISPATCH, g.id) is not None


async def test_finish_races_one_wins_with_its_deliveries(racers: list[Redis]) -> None:
    store = GenerationStore(racers[0])
    g = await _stored(racers[0], factories.generation(webhook_url="http://127.0.0.1:9999/hook"))
    g = (await store.save(g.submitting(NOW), Due(sweep=NOW))).generation
    g = (await store.save(g.submitted("request-1"), Due(poll=NOW, sweep=NOW))).generation
    ends = [
        g.succeeded(factories.output(), 1_000, NOW) if n % 2 else g.failed(factories.failure(), 0, NOW)
        for n in range(RACERS)
    ]
    events = [factories.delivery(tenant_id=g.tenant_id, generation_id=g.id) for _ in ends]
    moves = await asyncio.gather(
        *(
            GenerationStore(redis).finish(end, Due(sweep=NOW), [event], now=NOW)
            for redis, end, event in zip(racers, ends, events, strict=True)
        )
    )
    assert Counter(m.won for m in moves) == {True: 1, False: RACERS - 1}
    won = next(event for event, move in zip(events, moves, strict=True) if move.won)
    queues = keys.endpoint_queues_of_tenant(won.tenant_id, proven=False)
    assert await racers[0].execute("ZRANGE", keys.due_of_deliveries(proven=False), 0, -1) == [won.tenant_id.encode()]
    assert await racers[0].execute("ZRANGE", queues, 0, -1) == [won.endpoint_queue.encode()]
    assert await racers[0].execute("ZRANGE", keys.endpoint_queue(won.endpoint_queue), 0, -1) == [won.id.encode()]
    assert await racers[0].execute("SCARD", keys.SLOTS) == 0
    assert await _score(racers[0], WorkQueue.POLL, g.id) is None
    assert await DeliveryStore(racers[0]).load(won.id) == won


async def test_save_after_finish_is_refused(redis: Redis) -> None:
    store = GenerationStore(redis)
    g = await _stored(redis, factories.generation())
    assert (await store.finish(g.canceled(0, NOW), Due(sweep=NOW), [], now=NOW)).won
    assert not (await store.save(g.submitting(NOW), Due(sweep=NOW))).won
    assert await redis.execute("SCARD", keys.SLOTS) == 0
    stored = await store.load(g.id)
    assert stored is not None
    assert stored.status is Status.CANCELED


async def test_claim_races_each_entry_has_one_claimer(racers: list[Redis]) -> None:
    names = {f"gen_{n}" for n in range(100)}
    for name in names:
        await racers[0].execute("ZADD", keys.due(WorkQueue.POLL), 1, name)
    claims = await asyncio.gather(
        *(DueStore(redis).claim(WorkQueue.POLL, now=NOW, most=7, lease=LEASE) for redis in racers)
    )
    taken = [item.id for claim in claims for item in claim.taken]
    assert sorted(taken) == sorted(names)
    assert {claim.waiting for claim in claims} == {100}


async def test_claim_after_lease_end_returns_entry_again(redis: Redis) -> None:
    due = DueStore(redis)
    await redis.execute("ZADD", keys.due(WorkQueue.DELIVER), 1, "msg_1")
    assert len((await due.claim(WorkQueue.DELIVER, now=NOW, most=5, lease=LEASE)).taken) == 1
    assert (await due.claim(WorkQueue.DELIVER, now=NOW + LEASE / 2, most=5, lease=LEASE)).taken == []
    assert len((await due.claim(WorkQueue.DELIVER, now=NOW + LEASE, most=5, lease=LEASE)).taken) == 1


async def _queued(redis: Redis, count: int) -> list[str]:
    """Ids of one tenant's generations, the next one first."""
    first = factories.generation()
    later = (
        factories.generation(tenant_id=first.tenant_id, created_at=NOW + n * timedelta(milliseconds=1))
        for n in range(1, count)
    )
    return [(await _stored(redis, g)).id for g in (first, *later)]


async def test_claim_slot_races_never_exceed_the_slots(racers: list[Redis]) -> None:
    await _queued(racers[0], 40)
    claims = await asyncio.gather(
        *(QueueStore(redis).claim(now=NOW, most=5, lease=LEASE, slots=10) for redis in racers)
    )
    taken = [item.id for claim in claims for item in claim.taken]
    assert len(taken) == len(set(taken)) == 10
    assert await racers[0].execute("SCARD", keys.SLOTS) == 10


async def test_claim_slot_after_dead_worker_reuses_its_slot(redis: Redis) -> None:
    queue = QueueStore(redis)
    await _queued(redis, 2)
    first = await queue.claim(now=NOW, most=5, lease=LEASE, slots=1)
    again = await queue.claim(now=NOW + LEASE, most=5, lease=LEASE, slots=1)
    assert [item.id for item in first.taken] == [item.id for item in again.taken]
    assert await redis.execute("SCARD", keys.SLOTS) == 1


async def test_claim_slot_returns_dead_claims_before_others(redis: Redis) -> None:
    """More generations are due than one claim reads: those without a slot must not hide the one with a slot."""
    queue = QueueStore(redis)
    await _queued(redis, 20)
    (first,) = (await queue.claim(now=NOW, most=1, lease=LEASE, slots=1)).taken
    later = NOW + LEASE
    again = await queue.claim(now=later, most=1, lease=LEASE, slots=1)
    assert [item.id for item in again.taken] == [first.id]


async def test_attempt_races_one_worker_writes(racers: list[Redis]) -> None:
    delivery = factories.delivery()
    store = DeliveryStore(racers[0])
    g = await _stored(racers[0], factories.generation())
    await GenerationStore(racers[0]).finish(g.canceled(0, NOW), Due(sweep=NOW), [delivery], now=NOW)
    after = [
        delivery.delivered(factories.attempt(status=200))
        if n % 2
        else delivery.postponed(factories.attempt(), NOW + LEASE)
        for n in range(RACERS)
    ]
    won = await asyncio.gather(
        *(DeliveryStore(redis).save_attempt(d, now=NOW) for redis, d in zip(racers, after, strict=True))
    )
    assert Counter(written.won for written in won) == {True: 1, False: RACERS - 1}
    stored = await store.load(delivery.id)
    assert stored is not None
    assert len(stored.attempts) == 1
    waits = await racers[0].execute("ZSCORE", keys.endpoint_queue(delivery.endpoint_queue), delivery.id)
    assert (waits is not None) == (stored.status is DeliveryStatus.PENDING)


async def test_purge_deletes_everything_or_nothing(racers: list[Redis]) -> None:
    store = GenerationStore(racers[0])
    g = await _stored(racers[0], factories.generation(idempotency_digest="order-7"))
    ended = (await store.finish(g.canceled(0, NOW), Due(sweep=NOW), [], now=NOW)).generation
    assert not await store.purge(g), "the version it had before it ended"
    purged = await asyncio.gather(*(GenerationStore(redis).purge(ended) for redis in racers))
    assert Counter(purged) == {True: 1, False: RACERS - 1}
    left = {name.decode() for name in await racers[0].execute("KEYS", "*")}
    sums = (f"{keys.TAG}money:", f"{keys.TAG}usage:", keys.LEDGER, f"{keys.TAG}nudged:", keys.ACTIVE_TENANTS)
    assert {name for name in left if not name.startswith(sums)} == {
        keys.end_user(g.tenant_id, g.end_user),
        keys.end_users(g.tenant_id),
        keys.end_user_names(g.tenant_id),
    }


async def _at_fal(redis: Redis) -> Generation:
    store = GenerationStore(redis)
    g = await _stored(redis, factories.generation())
    return (await store.save(g.submitting(NOW), Due(sweep=NOW))).generation


async def test_callback_races_one_is_accepted(racers: list[Redis]) -> None:
    g = await _at_fal(racers[0])
    came = await asyncio.gather(
        *(CallbackStore(redis).receive(g.id, g.callback_token, Callback("request-1"), now=NOW) for redis in racers)
    )
    assert Counter(one.reception for one in came) == {"accepted": 1, "duplicate": RACERS - 1}
    assert [one.nudges for one in came if one.nudges] == [(WorkQueue.POLL,)]
    assert await _score(racers[0], WorkQueue.POLL, g.id) == ids.milliseconds(NOW)
    assert await CallbackStore(racers[0]).load(g.id) == (g, Callback("request-1"))


async def test_callback_races_finish_leave_no_due_poll(racers: list[Redis]) -> None:
    """In either order: an ended generation has no stored callback and no due poll."""
    for _ in range(10):
        g = await _at_fal(racers[0])
        middle = RACERS // 2

        async def end(redis: Redis, g: Generation = g) -> str:
            ended = g.failed(factories.failure(), 0, NOW)
            await GenerationStore(redis).finish(ended, Due(sweep=NOW), [], now=NOW, verdict=True)
            return "end"

        async def callback(redis: Redis, n: int, g: Generation = g) -> str:
            said = Callback(f"request-{n % 3}")
            return (await CallbackStore(redis).receive(g.id, g.callback_token, said, now=NOW)).reception

        came = await asyncio.gather(
            *(end(redis) if n == middle else callback(redis, n) for n, redis in enumerate(racers))
        )
        assert set(came) <= {"accepted", "duplicate", "ended", "end"}
        assert await racers[0].execute("HEXISTS", keys.generation(g.id), "c") == 0
        assert await _score(racers[0], WorkQueue.POLL, g.id) is None


async def test_callback_with_wrong_token_is_unknown(racers: list[Redis]) -> None:
    g = await _at_fal(racers[0])
    tokens = [g.callback_token[:n] for n in range(RACERS)]
    came = await asyncio.gather(
        *(
            CallbackStore(redis).receive(g.id, token, Callback("request-1"), now=NOW)
            for redis, token in zip(racers, tokens, strict=True)
        )
    )
    assert {one.reception for one in came} == {"unknown"}
    assert await CallbackStore(racers[0]).load(g.id) == (g, None)


async def test_callback_token_in_tenants_text_is_unknown(redis: Redis) -> None:
    g = await _stored(redis, factories.generation(metadata={"callback_token": "guess"}))
    received = await CallbackStore(redis).receive(g.id, "guess", Callback("request-1"), now=NOW)
    assert received.reception == "unknown"


async def test_reschedule_poll_with_unread_callback_changes_nothing(redis: Redis) -> None:
    store, later = GenerationStore(redis), NOW + LEASE
    g = await _at_fal(redis)
    await store.reschedule_poll(g.id, later)
    assert await _score(redis, WorkQueue.POLL, g.id) is None
    await CallbackStore(redis).receive(g.id, g.callback_token, Callback("request-1"), now=NOW)
    await store.reschedule_poll(g.id, later)
    assert await _score(redis, WorkQueue.POLL, g.id) == ids.milliseconds(NOW)
    await CallbackStore(redis).forget(g.id)
    await store.reschedule_poll(g.id, later)
    assert await _score(redis, WorkQueue.POLL, g.id) == ids.milliseconds(later)


async def test_save_with_unread_callback_leaves_its_poll(redis: Redis) -> None:
    for after, due in ((Generation.unconfirmed, Due(sweep=NOW)), (_submitted, Due(poll=NOW + LEASE, sweep=NOW))):
        g = await _at_fal(redis)
        await CallbackStore(redis).receive(g.id, g.callback_token, Callback("request-1"), now=NOW)
        assert (await GenerationStore(redis).save(after(g), due)).won
        assert await _score(redis, WorkQueue.POLL, g.id) == ids.milliseconds(NOW)


async def test_save_with_verdict_deletes_stored_callback(redis: Redis) -> None:
    """Otherwise the stored callback would fix the time of the next poll, which is the copy of the video."""
    store = GenerationStore(redis)
    g = (await store.save(_submitted(await _at_fal(redis)), Due(poll=NOW, sweep=NOW))).generation
    await CallbackStore(redis).receive(g.id, g.callback_token, Callback("request-1"), now=NOW + LEASE)
    assert (await store.save(g.copying_started(factories.output(), 7, NOW), Due(poll=NOW, sweep=NOW))).won
    assert await redis.execute("HEXISTS", keys.generation(g.id), "c") == 0
    assert await _score(redis, WorkQueue.POLL, g.id) == ids.milliseconds(NOW)
    assert await redis.execute("SCARD", keys.SLOTS) == 0


def _submitted(g: Generation) -> Generation:
    return g.submitted("request-1")


async def test_reschedule_sweep_after_transition_changes_nothing(racers: list[Redis]) -> None:
    stores = [GenerationStore(redis) for redis in racers]
    g = await _stored(racers[0], factories.generation())
    moved, _ = await asyncio.gather(
        stores[0].save(g.submitting(NOW), Due(sweep=NOW + LEASE)),
        asyncio.gather(*(store.reschedule_sweep(g, NOW + timedelta(hours=n)) for n, store in enumerate(stores[1:], 1))),
    )
    assert moved.won
    in_a_lease = (NOW + LEASE).timestamp() * 1000
    assert await _score(racers[0], WorkQueue.SWEEP, g.id) == in_a_lease
    await stores[0].reschedule_sweep(moved.generation, NOW)
    assert await _score(racers[0], WorkQueue.SWEEP, g.id) == NOW.timestamp() * 1000
    await racers[0].execute("ZREM", keys.due(WorkQueue.SWEEP), g.id)
    await stores[0].reschedule_sweep(moved.generation, NOW)
    assert await _score(racers[0], WorkQueue.SWEEP, g.id) is None


@pytest.mark.parametrize("request_id", [None, "request-1"])
async def test_finish_of_unconfirmed_adds_it_to_given_up(redis: Redis, request_id: str | None) -> None:
    store = GenerationStore(redis)
    g = await _stored(redis, factories.generation())
    g = (await store.save(g.submitting(NOW), Due(sweep=NOW))).generation
    g = (await store.save(g.unconfirmed(), Due(sweep=NOW))).generation
    if request_id is not None:
        g = (await store.save(g.submitted(request_id), Due(sweep=NOW))).generation
    assert (await store.finish(g.failed(factories.failure(), 0, NOW), Due(sweep=NOW), [], now=NOW)).won
    given_up = [g.id.encode()] if request_id is None else []
    assert await redis.execute("ZRANGE", keys.GIVEN_UP, 0, -1) == given_up
    assert await redis.execute("ZCARD", keys.UNCONFIRMED) == 0


async def test_insert_races_one_record_is_written(racers: list[Redis]) -> None:
    tenant = factories.tenant()
    sealer = Sealer(["a-secret-key-for-this-test"], Purpose.TENANTS)
    inserted = await asyncio.gather(*(TenantStore(redis, sealer).insert(tenant) for redis in racers))
    assert Counter(inserted) == {True: 1, False: RACERS - 1}
    assert await TenantStore(racers[0], sealer).load(tenant.id) == tenant


async def test_insert_key_without_tenant_is_refused(redis: Redis) -> None:
    key, _ = factories.api_key(factories.tenant().id)
    tenants = TenantStore(redis, Sealer(["a-secret-key-for-this-test"], Purpose.TENANTS))
    assert not await ApiKeyStore(redis, tenants).insert(key)
    assert await redis.execute("DBSIZE") == 0


async def test_script_on_restarted_server_is_loaded_again(redis: Redis) -> None:
    await _stored(redis, factories.generation())
    await redis.execute("SCRIPT", "FLUSH")
    await _stored(redis, factories.generation())


async def test_append_races_make_one_chain(racers: list[Redis]) -> None:
    stores = [TrailStore(redis, retention=timedelta(days=400)) for redis in racers]
    for n, store in enumerate(stores):
        await store.begin(f"act_{n}", factories.trail_entry(), share=None)

    await asyncio.gather(*(store.append(f"act_{n}", factories.trail_entry()) for n, store in enumerate(stores)))

    links = [link async for step in TrailReader(racers[0]).links() for link in step]
    assert [link.number for link in links] == list(range(1, RACERS + 1))
    assert [link.before for link in links[1:]] == [link.hash for link in links[:-1]]
    assert await stores[0].pending() == {}


async def test_append_races_of_one_act_are_recorded_once(racers: list[Redis]) -> None:
    stores = [TrailStore(redis, retention=timedelta(days=400)) for redis in racers]
    await stores[0].begin("act_1", factories.trail_entry(), share=None)

    done = await asyncio.gather(*(store.append("act_1", factories.trail_entry()) for store in stores))

    assert sum(link is not None for link in done) == 1


async def test_begin_races_stop_at_the_limit_of_the_day(racers: list[Redis]) -> None:
    entry = factories.trail_entry(tenant_id=factories.tenant().id)
    stores = [TrailStore(redis, retention=timedelta(days=400)) for redis in racers]

    share = TenantShare(5, 100)
    begun = await asyncio.gather(*(store.begin(f"act_{n}", entry, share=share) for n, store in enumerate(stores)))

    assert begun.count("begun") == 5
