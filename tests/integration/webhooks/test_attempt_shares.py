"""Shares of a worker's attempts: failing receivers and other tenants leave a healthy receiver its next delivery."""

import math
import random
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import pytest

from service.domain.webhook import Delivery
from service.store import keys
from service.store.generations.generations import GenerationStore
from service.store.queues.due import Claimed
from service.store.redis.client import Redis
from service.store.webhooks.deliveries import Caps, DeliveryStore, Verdict
from service.usecases.webhooks.attempt_shares import AttemptShares
from tests.support import factories
from tests.support.factories import NOW

CAPACITY: Final = 40
STEP: Final = timedelta(milliseconds=250)
SIMULATED: Final = timedelta(seconds=20)
TIMEOUT: Final = timedelta(seconds=15)
LEASE: Final = timedelta(hours=1)
#: Of each kind of receiver: how long an attempt takes, and what it says.
KINDS: Final[dict[str, tuple[timedelta, Verdict]]] = {
    "healthy": (STEP, "good"),
    "new": (STEP, "good"),
    "slow": (timedelta(seconds=8), "slow"),
    "dead": (TIMEOUT, "bad"),
    "new and dead": (TIMEOUT, "bad"),
}


@dataclass
class Worker:
    """A worker process in simulated time, with receivers of these kinds by the name of their endpoint queue."""

    redis: Redis
    kinds: dict[str, str]
    now: datetime = NOW
    ends: deque[tuple[datetime, Claimed]] = field(default_factory=deque)
    claimed_at: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = DeliveryStore(self.redis)
        self.shares = AttemptShares(CAPACITY, tenant_share=0.4, unproven_share=0.5)

    async def announce(self, tenant_id: str, receivers: list[str], count: int = 1) -> list[Delivery]:
        """Write so many deliveries for each of these receivers, and what is known about them."""
        made = [
            factories.delivery(tenant_id=tenant_id, endpoint_id=name.partition(":")[2])
            for name in receivers
            for _ in range(count)
        ]
        for name in receivers:
            known = {"healthy": "proven", "dead": "failures"}.get(self.kinds[name])
            if known:
                await self.redis.execute("HSET", keys.endpoint_health(name), known, 1)
        g = factories.generation(tenant_id=tenant_id)
        generations = GenerationStore(self.redis)
        await generations.create(g, factories.due())
        assert (await generations.finish(g.canceled(0, NOW), factories.due(), made, now=self.now)).won
        return made

    async def step(self) -> None:
        """End the attempts that are over, and claim until nothing more is found."""
        over = [entry for entry in self.ends if entry[0] <= self.now]
        self.ends = deque(entry for entry in self.ends if entry[0] > self.now)
        for _, item in over:
            self.shares.end(item)
            await self._save(item)
        more = True
        while more and (left := self.shares.capacity.left) > 0:
            claim = await self.store.claim(
                now=self.now, most=left, lease=LEASE, caps=Caps(unproven=4), capacity=self.shares.capacity
            )
            self.shares.begin(claim.taken)
            for item in claim.taken:
                self.claimed_at.setdefault(item.id, self.now)
                self.ends.append((self.now + KINDS[self.kinds[item.queue_name]][0], item))
            more = claim.more
        assert len(self.ends) <= CAPACITY
        assert sum(not item.is_proven for _, item in self.ends) <= CAPACITY / 2
        self.now += STEP

    async def _save(self, item: Claimed) -> None:
        delivery = await self.store.load(item.id)
        assert delivery is not None
        verdict = KINDS[self.kinds[item.queue_name]][1]
        attempt = factories.attempt()
        after = delivery.postponed(attempt, self.now + STEP) if verdict == "bad" else delivery.delivered(attempt)
        assert (await self.store.save_attempt(after, now=self.now, verdict=verdict)).won


@pytest.mark.parametrize("seed", range(6))
async def test_healthy_receiver_is_claimed_within_bound(redis: Redis, seed: int) -> None:
    """Other tenants have any mixture of receivers, each with a backlog."""
    chance = random.Random(seed)  # noqa: S311
    receivers = {
        (tenant := factories.tenant().id): [f"{tenant}:whe_{n}" for n in range(chance.randint(1, 8))]
        for _ in range(chance.choice((1, 4, 12, 30)))
    }
    worst = chance.random() < 0.5
    kinds = {
        name: chance.choice(("dead", "new and dead") if worst else sorted(KINDS))
        for names in receivers.values()
        for name in names
    }
    own = factories.tenant().id
    kinds |= {f"{own}:whe_healthy": "healthy", f"{own}:whe_dead": "dead", f"{own}:whe_new": "new"}
    worker = Worker(redis, kinds)
    for tenant, names in receivers.items():
        await worker.announce(tenant, names, count=chance.randint(5, 20))
    await worker.announce(own, [f"{own}:whe_dead"], count=20)
    await worker.step()
    sent: dict[str, datetime] = {}
    (first,) = await worker.announce(own, [f"{own}:whe_new"])
    new_at = worker.now
    while worker.now < NOW + SIMULATED:
        (probe,) = await worker.announce(own, [f"{own}:whe_healthy"])
        sent[probe.id] = worker.now
        await worker.step()
    waits = [worker.claimed_at.get(name, worker.now) - at for name, at in sent.items()]
    assert max(waits) <= 4 * STEP, kinds
    # The part for unproven receivers is full: each tenant has a turn in so many timeouts, and the own dead receiver one
    # of the own turns.
    turn = TIMEOUT * math.ceil((len(receivers) + 1) / (CAPACITY / 2))
    while first.id not in worker.claimed_at:
        assert worker.now - new_at <= 2 * turn + 4 * STEP, kinds
        await worker.step()


async def test_unproven_receivers_of_one_tenant_leave_others_turns(redis: Redis) -> None:
    hostile, own = factories.tenant().id, factories.tenant().id
    names = [f"{hostile}:whe_{n}" for n in range(30)]
    worker = Worker(redis, {**dict.fromkeys(names, "new and dead"), f"{own}:whe_a": "new"})
    await worker.announce(hostile, names, count=4)
    await worker.step()
    assert 0 < len(worker.ends) < CAPACITY / 2
    (probe,) = await worker.announce(own, [f"{own}:whe_a"])
    await worker.step()
    assert probe.id in worker.claimed_at


QUEUES: Final = 50_000


@pytest.mark.parametrize("kind", ["healthy", "dead"])
async def test_claim_cost_is_independent_of_endpoint_queues(redis: Redis, kind: str) -> None:
    cost = {}
    for count in (500, QUEUES):
        hostile, own = factories.tenant().id, factories.tenant().id
        await many_queues(redis, hostile, count, proven=kind == "healthy")
        worker = Worker(redis, {f"{own}:whe_a": kind})
        (probe,) = await worker.announce(own, [f"{own}:whe_a"])
        before = await microseconds(redis)
        first = await worker.store.claim(now=NOW, most=20, lease=LEASE, caps=Caps())
        assert probe.id in {item.id for item in first.taken}
        for _ in range(20):
            await worker.store.claim(now=NOW, most=20, lease=LEASE, caps=Caps())
        cost[count] = await microseconds(redis) - before
        await redis.execute("DEL", keys.due_of_deliveries(proven=True), keys.due_of_deliveries(proven=False))
    assert cost[QUEUES] < 5 * cost[500], cost


async def many_queues(redis: Redis, tenant_id: str, count: int, *, proven: bool) -> None:
    """Write so many endpoint queues of a tenant, each with one due delivery."""
    due = round(NOW.timestamp() * 1000) - 1
    for start in range(0, count, 1000):
        names = [f"{tenant_id}:whe_{n}" for n in range(start, start + min(1000, count))]
        pairs = [word for name in names for word in (due, name)]
        await redis.execute("ZADD", keys.endpoint_queues_of_tenant(tenant_id, proven=proven), *pairs)
        await redis.gather(("ZADD", keys.endpoint_queue(name), due, f"msg_{name}") for name in names)
    await redis.execute("ZADD", keys.due_of_deliveries(proven=proven), due, tenant_id)


async def microseconds(redis: Redis) -> int:
    """Time that Redis has spent in scripts."""
    text = (await redis.execute("INFO", "commandstats")).decode()
    lines = [line for line in text.splitlines() if line.startswith(("cmdstat_eval:", "cmdstat_evalsha:"))]
    return sum(int(line.split("usec=")[1].split(",")[0]) for line in lines)
