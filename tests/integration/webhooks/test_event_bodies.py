"""The body of an event is stored once, as long as a delivery refers to it, and not longer."""

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Final

import httpx
import pytest

from service.domain import ids
from service.domain.generation import Due
from service.domain.tenant import Tenant
from service.domain.webhook import Delivery, DeliveryStatus, EventType
from service.domain.webhook_endpoint import Endpoint
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store import keys
from service.store.redis.client import Redis
from service.usecases.webhooks.fanout import deliveries_of, endpoint_events
from service.usecases.webhooks.fanout import test_event as event_of
from tests.support import factories
from tests.support.factories import Clock
from tests.support.store_world import fresh_endpoint
from tests.support.webhooks import changed, deliveries, ended, endpoint

#: Bytes of a delivery that refers to a body: its record, its entries in the indexes.
MOST_OF_A_REFERENCE: Final = 1_200
LONG_PROMPT: Final = "x" * 4_000
ENDPOINTS: Final = 20
STEPS: Final = 60


async def all_keys(redis: Redis, prefix: str) -> list[str]:
    return [name.decode() for name in await redis.execute("KEYS", f"{prefix}*")]


async def assert_bodies_match_deliveries(redis: Redis) -> None:
    """Each delivery's event exists, with a body and the number of the deliveries that refer to it."""
    references: Counter[str] = Counter()
    for name in await all_keys(redis, keys.delivery("")):
        references[keys.event((await redis.execute("HGET", name, "e")).decode())] += 1
    events = await all_keys(redis, keys.event(""))
    assert set(events) == set(references)
    for name in events:
        body, count = await redis.execute("HMGET", name, "b", "n")
        assert body, name
        assert int(count) == references[name], name


@pytest.mark.parametrize("state", ["enabled", "disabled"])
async def test_event_body_of_20_endpoints_is_stored_once(
    api: httpx.AsyncClient, redis: Redis, tenant: Tenant, state: str
) -> None:
    for number in range(ENDPOINTS):
        made = await endpoint(api, f"http://127.0.0.1:65533/{number}")
        if state == "disabled":
            await changed(api, made, enabled=False)
    before = await used(redis)
    await ended(api, prompt=LONG_PROMPT)
    grown = await used(redis) - before
    (event,) = await all_keys(redis, keys.event(""))
    assert await redis.execute("HGET", event, "n") == str(ENDPOINTS).encode()
    assert grown <= ENDPOINTS * MOST_OF_A_REFERENCE + 4 * len(LONG_PROMPT), grown
    for listed in await deliveries(api):
        shown = (await api.get(f"/v1/deliveries/{listed['id']}")).json()
        assert LONG_PROMPT in shown["body"]


async def used(redis: Redis) -> int:
    """Bytes of all keys."""
    sizes = await redis.gather(("MEMORY", "USAGE", name, "SAMPLES", 0) for name in await redis.execute("KEYS", "*"))
    return sum(sizes)


class Walk:
    """Random writes of deliveries of one tenant."""

    def __init__(self, runtime: Runtime, owner: Tenant, clock: Clock, seed: int) -> None:
        self.stores, self.owner, self.clock = runtime.stores, owner, clock
        self.random = random.Random(seed)  # noqa: S311  (a walk that a seed repeats)
        self.endpoints: list[Endpoint] = []
        self.stored: list[str] = []

    async def begin(self) -> None:
        for number in range(4):
            one = replace(
                fresh_endpoint(self.owner),
                id=ids.new(ids.ENDPOINT, self.clock()),
                events=tuple(EventType),
                url=f"http://127.0.0.1:65533/{number}",
            )
            made = await self.stores.endpoints.put(one.disabled_for("requested", self.clock()) if number == 3 else one)
            assert isinstance(made, Endpoint)
            self.endpoints.append(made)

    async def step(self) -> None:
        await self.random.choice([self.end, self.test, self.announce, self.attempt, self.replay, self.forget])()

    async def end(self) -> None:
        """Some events of one generation in one script; with fal's body too."""
        g = factories.generation(tenant_id=self.owner.id, webhook_url="https://receiver.example/", webhook_style="fal")
        await self.stores.generations.create(g, factories.due())
        done, subscribed = g.canceled(0, self.clock()), self.random.sample(self.endpoints, self.random.randint(0, 4))
        events = deliveries_of(done, self.clock(), subscribed)
        done = replace(done, deliveries=tuple(event.id for event in events))
        assert (await self.stores.generations.finish(done, Due(sweep=self.clock()), events, now=self.clock())).won
        self.stored += done.deliveries

    async def test(self) -> None:
        await self._announce([event_of(self.endpoints[0], self.clock())])

    async def announce(self) -> None:
        await self._announce(endpoint_events(self.endpoints[0], EventType.FAILING, self.endpoints, self.clock()))

    async def _announce(self, events: list[Delivery]) -> None:
        announced = await self.stores.endpoints.announce(
            self.endpoints[0], events, now=self.clock(), retention=timedelta(days=1)
        )
        assert announced.won
        self.stored += [event.id for event in events]

    async def attempt(self) -> None:
        if (one := await self._any(DeliveryStatus.PENDING)) is not None:
            attempt = factories.attempt()
            after = self.random.choice(
                [one.delivered(attempt), one.dead(attempt), one.postponed(attempt, self.clock())]
            )
            assert (await self.stores.deliveries.save_attempt(after, now=self.clock(), verdict="bad")).won

    async def replay(self) -> None:
        if (one := await self._any(DeliveryStatus.DEAD)) is not None:
            assert (await self.stores.delivery_log.replay(one, self.clock())).won

    async def forget(self) -> None:
        """As the sweep, an erasure, and a repeated call after a lost reply."""
        some = self.random.sample(self.stored, min(len(self.stored), 3))
        deleted = await self.stores.deliveries.purge(self.owner.id, some)
        if not deleted and self.random.random() < 0.5:
            await self.stores.deliveries.delete(self.owner.id, some)
            await self.stores.deliveries.delete(self.owner.id, some)
            deleted = True
        if deleted:
            self.stored = [name for name in self.stored if name not in some]

    async def _any(self, status: DeliveryStatus) -> Delivery | None:
        for name in self.random.sample(self.stored, len(self.stored)):
            found = await self.stores.deliveries.load(name)
            assert found is not None
            assert found.body
            if found.status is status:
                return found
        return None


@pytest.mark.parametrize("seed", range(4))
async def test_event_bodies_match_deliveries_after_each_write(
    runtime: Runtime, redis: Redis, clock: Clock, seed: int
) -> None:
    walk = Walk(runtime, await runtime.tenants.service.create("acme"), clock, seed)
    await walk.begin()
    for _ in range(STEPS):
        await walk.step()
        await assert_bodies_match_deliveries(redis)
    await runtime.stores.deliveries.delete(walk.owner.id, walk.stored)
    assert await all_keys(redis, keys.delivery("")) == await all_keys(redis, keys.event("")) == []


async def test_event_body_is_purged_with_its_last_delivery(
    api: httpx.AsyncClient, runtime: Runtime, redis: Redis, clock: Clock
) -> None:
    made = await endpoint(api, "http://127.0.0.1:65533/one")
    await changed(api, await endpoint(api, "http://127.0.0.1:65533/two"), enabled=False)
    await ended(api, webhook_url="http://127.0.0.1:65533/own")
    (await api.post(f"/v1/webhook-endpoints/{made['id']}/test")).raise_for_status()
    assert len(await all_keys(redis, keys.event(""))) == 2
    await api.delete(f"/v1/webhook-endpoints/{made['id']}")
    clock.advance(runtime.settings.retention + timedelta(days=1))
    for _ in range(12):  # the pending ones become dead letters first
        for work_queue in (WorkQueue.DELIVER, WorkQueue.SWEEP):
            await runtime.queues.run(work_queue)
            await runtime.queues.consumers[work_queue].idle()
        clock.advance(timedelta(hours=13))
    assert await all_keys(redis, keys.delivery("")) == await all_keys(redis, keys.event("")) == []
