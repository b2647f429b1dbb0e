"""A delivery: attempts by the schedule, the same bytes in each attempt, and an end."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic_core import from_json

from service.config.settings import Settings
from service.domain.generation import Due
from service.domain.tenant import Tenant
from service.domain.webhook import Delivery, DeliveryStatus
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store import keys
from service.store.webhooks.deliveries import Caps, DeliveryStore
from service.usecases.lifecycle.leases import LEASE
from service.usecases.webhooks.fanout import deliveries_of
from tests.support import factories
from tests.support.factories import Clock
from tests.support.receiver import Receiver

WITH_JITTER = 1.21
HOURS_OF_ATTEMPTS = 28


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
async def owner(runtime: Runtime) -> Tenant:
    return await runtime.tenants.service.create("acme")


async def sent(runtime: Runtime, owner: Tenant, clock: Clock, url: str) -> str:
    """End a generation with a delivery to this URL. Return the id of the delivery."""
    request = factories.create_request(webhook_url="https://receiver.example/hook")
    g = (await runtime.generations.creator.create(owner, request)).generation
    ended = g.canceled(0, clock())
    (delivery,) = deliveries_of(ended, clock())
    await runtime.stores.generations.finish(
        ended, Due(sweep=clock() + timedelta(days=1)), [_to(delivery, url)], now=clock()
    )
    return delivery.id


def _to(delivery: Delivery, url: str) -> Delivery:
    from dataclasses import replace

    return replace(delivery, url=url)


async def drained(runtime: Runtime) -> None:
    await runtime.queues.run(WorkQueue.DELIVER)
    await runtime.queues.consumers[WorkQueue.DELIVER].idle()


async def stored(runtime: Runtime, delivery_id: str) -> Delivery:
    found = await DeliveryStore(runtime.redis).load(delivery_id)
    assert found is not None
    return found


async def test_delivery_retry_sends_same_event(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings, receiver: Receiver
) -> None:
    receiver.answers[:] = [500, 404, 301, 400, 503, 599]
    delivery_id = await sent(runtime, owner, clock, receiver.url)
    for wait in settings.webhook_schedule[:7]:
        clock.advance(wait * WITH_JITTER)
        await drained(runtime)
    assert len(receiver.received) == 7
    assert {r.headers["webhook-id"] for r in receiver.received} == {delivery_id}
    assert len({r.body for r in receiver.received}) == 1
    done = await stored(runtime, delivery_id)
    assert done.status is DeliveryStatus.DELIVERED
    assert [a.status for a in done.attempts] == [500, 404, 301, 400, 503, 599, 204]
    assert (await runtime.stores.due.depths())[WorkQueue.DELIVER].entries == 0


async def test_delivery_is_not_sent_before_due(
    runtime: Runtime, clock: Clock, owner: Tenant, receiver: Receiver
) -> None:
    receiver.answers[:] = [500]
    await sent(runtime, owner, clock, receiver.url)
    await drained(runtime)
    clock.advance(timedelta(seconds=3.9))
    await drained(runtime)
    assert len(receiver.received) == 1


async def test_attempt_is_signed_with_its_own_timestamp(
    runtime: Runtime, owner: Tenant, clock: Clock, receiver: Receiver
) -> None:
    clock.now = datetime.now(UTC)
    receiver.answers[:] = [500]
    await sent(runtime, owner, clock, receiver.url)
    await drained(runtime)
    clock.advance(timedelta(seconds=7))
    await drained(runtime)
    first, second = receiver.received
    assert first.verified(owner.webhook_secret) == second.verified(owner.webhook_secret) == from_json(first.body)
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 7
    with pytest.raises(Exception, match="No matching signature"):
        first.verified((await runtime.tenants.service.create("other")).webhook_secret)


async def test_delivery_after_last_attempt_is_dead(
    runtime: Runtime, clock: Clock, owner: Tenant, settings: Settings, receiver: Receiver
) -> None:
    receiver.answers[:] = [500] * 20
    delivery_id, begun = await sent(runtime, owner, clock, receiver.url), clock()
    for wait in (*settings.webhook_schedule, timedelta(days=3)):
        clock.advance(wait * WITH_JITTER)
        await drained(runtime)
    dead = await stored(runtime, delivery_id)
    assert (dead.status, len(dead.attempts)) == (DeliveryStatus.DEAD, 8)
    assert dead.attempts[-1].at - begun > timedelta(hours=HOURS_OF_ATTEMPTS)
    assert await runtime.redis.execute("PTTL", keys.delivery(delivery_id)) == -1, "it is purged with its generation"


@pytest.mark.parametrize(
    ("status", "header", "least", "most"),
    [
        (503, "7200", timedelta(hours=2), timedelta(hours=2)),
        (429, "7200", timedelta(hours=2), timedelta(hours=2)),
        (503, "1", timedelta(seconds=4), timedelta(seconds=6)),
        (503, "8640000", timedelta(hours=10), timedelta(hours=10)),
        (503, "soon", timedelta(seconds=4), timedelta(seconds=6)),
        (500, "7200", timedelta(seconds=4), timedelta(seconds=6)),
    ],
)
async def test_delivery_retry_after_is_honoured_within_limit(
    runtime: Runtime,
    clock: Clock,
    owner: Tenant,
    receiver: Receiver,
    status: int,
    header: str,
    least: timedelta,
    most: timedelta,
) -> None:
    """A retry is never earlier than the schedule, and never later than its longest wait."""
    receiver.answers[:], receiver.headers = [status], {"retry-after": header}
    delivery_id = await sent(runtime, owner, clock, receiver.url)
    await drained(runtime)
    waits = (await stored(runtime, delivery_id)).next_attempt_at
    assert waits is not None
    assert least <= waits - clock() <= most


@pytest.mark.parametrize(("header", "least"), [({"retry-after": "10"}, 10), ({}, 4)])
async def test_delivery_wait_begins_at_end_of_attempt(
    runtime: Runtime, clock: Clock, owner: Tenant, receiver: Receiver, header: dict[str, str], least: int
) -> None:
    """Otherwise a receiver that takes 14 s to respond "in 10 s" would get the next attempt at once."""

    def slowly(receiver: Receiver) -> None:
        clock.advance(timedelta(seconds=14))
        receiver.headers = header

    receiver.answers[:], receiver.meanwhile = [503], slowly
    delivery_id = await sent(runtime, owner, clock, receiver.url)
    await drained(runtime)
    waits = (await stored(runtime, delivery_id)).next_attempt_at
    assert waits is not None
    assert waits - clock() >= timedelta(seconds=least)


async def test_delivery_410_is_dead(runtime: Runtime, clock: Clock, owner: Tenant, receiver: Receiver) -> None:
    receiver.answers[:] = [410]
    delivery_id = await sent(runtime, owner, clock, receiver.url)
    await drained(runtime)
    assert (await stored(runtime, delivery_id)).status is DeliveryStatus.DEAD


async def test_delivery_refused_connection_counts_as_attempt(runtime: Runtime, clock: Clock, owner: Tenant) -> None:
    refused = await sent(runtime, owner, clock, "http://127.0.0.1:9/hook")
    forbidden = await sent(runtime, owner, clock, "https://10.0.0.1/hook")
    closed = await sent(runtime, owner, clock, "http://127.0.0.1:65533/hook")
    await drained(runtime)
    errors = [(await stored(runtime, d)).attempts[0].error for d in (refused, forbidden, closed)]
    assert errors == ["refused_address", "refused_address", "connect"]


async def test_delivery_of_dead_worker_is_attempted_after_lease(
    runtime: Runtime, clock: Clock, owner: Tenant, receiver: Receiver
) -> None:
    await sent(runtime, owner, clock, receiver.url)
    claim = await DeliveryStore(runtime.redis).claim(now=clock(), most=5, lease=LEASE, caps=Caps())
    assert len(claim.taken) == 1  # then the worker dies
    await drained(runtime)
    assert receiver.received == []
    clock.advance(LEASE)
    await drained(runtime)
    assert len(receiver.received) == 1
