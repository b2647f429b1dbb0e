"""Deliveries of a tenant: list, read, replay; test events; no data of other tenants."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from service.config.settings import Settings
from service.domain.tenant import Limits, Tenant
from service.domain.webhook import DeliveryStatus
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store import keys
from service.store.redis.client import Redis
from service.store.webhooks.deliveries import Caps, DeliveryStore
from tests.conftest import Connect
from tests.support import factories
from tests.support.factories import Clock
from tests.support.receiver import Receiver
from tests.support.webhooks import DELIVERIES, ENDPOINTS, changed, deliveries, drained, ended, endpoint


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, webhook_schedule=(timedelta(0), timedelta(hours=1)))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


async def dead(api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver, count: int) -> list[Any]:
    """Return this number of dead letters, each created a minute after the previous one; oldest first."""
    receiver.otherwise = 500
    for _ in range(count):
        clock.advance(timedelta(minutes=1))
        await ended(api)
    await drained(runtime)
    clock.advance(timedelta(hours=2))
    await drained(runtime)
    receiver.otherwise = 204
    receiver.received.clear()
    found = await deliveries(api, status="dead")
    assert len(found) == count
    return found[::-1]


async def test_redelivery_sends_same_id_and_bytes(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    await endpoint(api, receiver.url)
    (one,) = await dead(api, runtime, clock, receiver, 1)
    before = (await api.get(f"{DELIVERIES}/{one['id']}")).json()
    assert [attempt["status"] for attempt in before["attempts"]] == [500, 500]

    answer = await api.post(f"{DELIVERIES}/{one['id']}/redeliver")

    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    assert await deliveries(api, status="dead") == []
    await drained(runtime)
    (came,) = receiver.received
    assert (came.headers["webhook-id"], came.body.decode()) == (one["id"], before["body"])
    after = (await api.get(f"{DELIVERIES}/{one['id']}")).json()
    assert (after["status"], after["attempt_count"]) == ("delivered", 3)
    assert [attempt["status"] for attempt in after["attempts"]] == [500, 500, 204], "the log continues"


async def test_redelivery_of_delivered_event_is_sent(
    api: httpx.AsyncClient, runtime: Runtime, receiver: Receiver
) -> None:
    await ended(api, webhook_url=receiver.url)
    await drained(runtime)
    (one,) = await deliveries(api)
    for _ in range(3):
        assert (await api.post(f"{DELIVERIES}/{one['id']}/redeliver")).json()["status"] == "pending"
    await drained(runtime)
    assert len(receiver.received) == 2, "requested three times while it waited, sent once"


async def test_redelivery_has_full_retry_schedule(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    await endpoint(api, receiver.url)
    (one,) = await dead(api, runtime, clock, receiver, 1)
    receiver.otherwise = 500
    await api.post(f"{DELIVERIES}/{one['id']}/redeliver")
    await drained(runtime)
    waiting = (await api.get(f"{DELIVERIES}/{one['id']}")).json()
    assert (waiting["status"], waiting["attempt_count"]) == ("pending", 3)
    clock.advance(timedelta(hours=2))
    await drained(runtime)
    assert (await api.get(f"{DELIVERIES}/{one['id']}")).json()["status"] == "dead"


async def test_redelivery_of_waiting_delivery_is_sent_now(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    receiver.answers[:] = [500]
    await ended(api, webhook_url=receiver.url)
    await drained(runtime)
    (one,) = await deliveries(api, status="pending")
    await drained(runtime)
    assert len(receiver.received) == 1
    await api.post(f"{DELIVERIES}/{one['id']}/redeliver")
    await drained(runtime)
    assert len(receiver.received) == 2


async def test_redelivery_during_attempt_changes_nothing(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    await ended(api, webhook_url=receiver.url)
    (one,) = await deliveries(api)
    claim = await DeliveryStore(runtime.redis).claim(now=clock(), most=5, lease=timedelta(seconds=45), caps=Caps())
    assert [item.id for item in claim.taken] == [one["id"]]
    answers = await asyncio.gather(*(api.post(f"{DELIVERIES}/{one['id']}/redeliver") for _ in range(10)))
    assert {(a.status_code, a.json()["status"]) for a in answers} == {(202, "pending")}
    await drained(runtime)
    assert receiver.received == [], "the lease holds"


async def test_concurrent_redeliveries_are_one(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    await endpoint(api, receiver.url)
    await dead(api, runtime, clock, receiver, 30)
    answers = await asyncio.gather(*(api.post(f"{DELIVERIES}/replay", json={}) for _ in range(10)))
    assert sum(a.json()["replayed"] for a in answers) == 30
    await drained(runtime)
    assert len(receiver.received) == 30
    assert len({r.headers["webhook-id"] for r in receiver.received}) == 30


async def test_replay_by_time_range(api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver) -> None:
    await endpoint(api, receiver.url)
    all_dead = await dead(api, runtime, clock, receiver, 6)
    wanted = {"created_after": all_dead[0]["created_at"], "created_before": all_dead[4]["created_at"]}
    answer = await api.post(f"{DELIVERIES}/replay", json=wanted)
    assert answer.json() == {
        "object": "replay",
        "replayed": 3,
        "skipped": 0,
        "has_more": False,
        "next_cursor": None,
    }
    await drained(runtime)
    assert {r.headers["webhook-id"] for r in receiver.received} == {d["id"] for d in all_dead[1:4]}


async def test_replay_dead_letters_of_endpoint(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    first, second = await endpoint(api, receiver.url), await endpoint(api, receiver.url)
    await dead(api, runtime, clock, receiver, 0)
    receiver.otherwise = 500
    await ended(api)
    await drained(runtime)
    clock.advance(timedelta(hours=2))
    await drained(runtime)
    answer = await api.post(f"{DELIVERIES}/replay", json={"endpoint_id": first["id"]})
    assert answer.json()["replayed"] == 1
    assert [d["endpoint_id"] for d in await deliveries(api, status="dead")] == [second["id"]]
    await changed(api, second, enabled=False)
    answer = await api.post(f"{DELIVERIES}/replay", json={})
    assert (answer.json()["replayed"], answer.json()["skipped"]) == (0, 1)


async def test_replay_above_limit_continues_with_cursor(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.usecases.webhooks.redelivery.REPLAY_LIMIT", 4)
    await endpoint(api, receiver.url)
    await dead(api, runtime, clock, receiver, 10)
    replayed, cursor, calls = 0, None, 0
    while calls == 0 or cursor is not None:
        answer = (await api.post(f"{DELIVERIES}/replay", json={"cursor": cursor})).json()
        replayed, cursor, calls = replayed + answer["replayed"], answer["next_cursor"], calls + 1
        assert answer["has_more"] is (cursor is not None)
    assert (replayed, calls) == (10, 3)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"status": "pending"}, "/status"),
        ({"cursor": "x"}, "/cursor"),
        ({"created_after": "yesterday"}, "/created_after"),
        ({"created_before": 1_893_456_000}, "/created_before"),
        ({"created_after": "1969-12-31T23:59:59Z"}, "/created_after"),
        ({"event": "generation.exploded"}, "/event"),
        ({"everything": True}, "/everything"),
    ],
)
async def test_replay_invalid_filter_returns_422(api: httpx.AsyncClient, body: dict[str, Any], pointer: str) -> None:
    answer = await api.post(f"{DELIVERIES}/replay", json=body)
    assert answer.status_code == 422, answer.text
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


async def test_list_deliveries_by_filter_over_pages(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    first = await endpoint(api, receiver.url)
    second = await endpoint(api, receiver.url, events=["generation.failed"])
    for _ in range(5):
        clock.advance(timedelta(seconds=1))
        await ended(api)
    await drained(runtime)
    await api.post(f"{ENDPOINTS}/{second['id']}/test")
    every = await deliveries(api, limit=2)
    assert len(every) == 6
    assert [d["id"] for d in every] == sorted((d["id"] for d in every), reverse=True), "newest first"
    assert {d["event"] for d in await deliveries(api, endpoint_id=second["id"], limit=1)} == {"webhook.test"}
    assert len(await deliveries(api, status="delivered", endpoint_id=first["id"], limit=3)) == 5
    assert len(await deliveries(api, event="webhook.test")) == 1
    assert len(await deliveries(api, created_after=every[2]["created_at"])) == 2
    assert len(await deliveries(api, created_before=every[2]["created_at"], limit=1)) == 3
    one = every[-1]
    assert await deliveries(api, generation_id=one["generation_id"]) == [one]
    assert await deliveries(api, generation_id=one["generation_id"], status="dead") == []
    for filters in ({}, {"generation_id": one["generation_id"]}, {"endpoint_id": first["id"]}):
        assert await deliveries(other_api, **filters) == []
    assert (await other_api.post(f"{DELIVERIES}/replay", json={"endpoint_id": first["id"]})).status_code == 404


async def test_test_event_ignores_subscriptions(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    made = await endpoint(api, receiver.url, events=["generation.failed"], description="billing")
    answer = await api.post(f"{ENDPOINTS}/{made['id']}/test")
    assert answer.status_code == 202
    assert answer.headers["location"] == f"{DELIVERIES}/{answer.json()['id']}"
    await drained(runtime)
    (came,) = receiver.received
    assert (came.json["type"], came.json["data"]["description"]) == ("webhook.test", "billing")
    assert made["secret"] not in came.body.decode()
    read = (await api.get(answer.headers["location"])).json()
    assert (read["status"], read["generation_id"]) == ("delivered", None)


async def test_purged_delivery_is_not_listed_or_replayed(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock, receiver: Receiver
) -> None:
    """A generation is purged with its webhooks, dead letters too."""
    await endpoint(api, receiver.url)
    (one,) = await dead(api, runtime, clock, receiver, 1)
    clock.advance(runtime.settings.retention)
    await runtime.queues.run(WorkQueue.SWEEP)
    await runtime.queues.consumers[WorkQueue.SWEEP].idle()
    assert await deliveries(api) == await deliveries(api, status="dead") == []
    assert (await api.get(f"{DELIVERIES}/{one['id']}")).status_code == 404
    assert (await api.post(f"{DELIVERIES}/{one['id']}/redeliver")).status_code == 404
    assert (await api.post(f"{DELIVERIES}/replay", json={})).json()["replayed"] == 0
    left = {name.decode() for name in await runtime.redis.execute("KEYS", f"*{tenant.id}*")}
    assert not [name for name in left if name.endswith((":deliveries", ":dead_letters", ":delivery_leases"))]


async def test_dead_letters_are_purged_with_their_generation(
    connect: Connect, runtime: Runtime, redis: Redis, clock: Clock, receiver: Receiver
) -> None:
    """After the tenant's own retention, record, indexes and gauge lose the dead letters together."""
    for retention in (timedelta(days=90), timedelta(minutes=1)):
        owner = await runtime.tenants.service.create("acme", Limits(retention=retention))
        api = await connect(owner)
        await endpoint(api, receiver.url)
        (one,) = await dead(api, runtime, clock, receiver, 1)
        assert await redis.execute("PTTL", keys.delivery(one["id"])) == -1
        finished = (await api.get(f"/v1/generations/{one['generation_id']}")).json()["finished_at"]
        clock.now = max(clock.now, datetime.fromisoformat(finished) + retention)
        await swept(runtime)
        assert await redis.execute("EXISTS", keys.delivery(one["id"])) == 0
        assert await redis.execute("ZCARD", keys.dead_letters_of_tenant(owner.id)) == 0


async def test_test_events_are_purged_after_tenant_retention(
    connect: Connect, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    owner = await runtime.tenants.service.create("acme", Limits(retention=timedelta(days=90)))
    api = await connect(owner)
    made = await endpoint(api, receiver.url)
    name = (await api.post(f"{ENDPOINTS}/{made['id']}/test")).json()["id"]
    await drained(runtime)
    clock.advance(timedelta(days=90) - timedelta(seconds=1))
    await swept(runtime)
    assert (await api.get(f"{DELIVERIES}/{name}")).status_code == 200
    clock.advance(timedelta(minutes=2))
    await swept(runtime)
    assert (await api.get(f"{DELIVERIES}/{name}")).status_code == 404


@pytest.mark.parametrize("cause", ["generation", "test"])
async def test_replay_during_purge_of_generation_is_sent(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock, receiver: Receiver, cause: str
) -> None:
    """The replay comes between the read and the purge of the sweep."""
    made = await endpoint(api, receiver.url)
    if cause == "generation":
        (one,) = await dead(api, runtime, clock, receiver, 1)
        name = one["id"]
    else:
        name = (await api.post(f"{ENDPOINTS}/{made['id']}/test")).json()["id"]
        await drained(runtime)
    clock.advance(runtime.settings.retention)
    store = runtime.stores.deliveries
    purge, received = store.purge, len(receiver.received)

    async def late(tenant_id: str, names: Sequence[str]) -> bool:
        assert (await runtime.webhooks.deliveries.redeliver(tenant, name)).status is DeliveryStatus.PENDING
        return bool(await purge(tenant_id, names))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "purge", late)
        await swept(runtime)
    await drained(runtime)
    assert len(receiver.received) == received + 1
    clock.advance(timedelta(minutes=2))
    await swept(runtime)
    assert (await api.get(f"{DELIVERIES}/{name}")).status_code == 404


async def test_list_removes_ids_without_record(
    api: httpx.AsyncClient, runtime: Runtime, redis: Redis, tenant: Tenant, clock: Clock, receiver: Receiver
) -> None:
    """Records of an earlier release may expire."""
    await endpoint(api, receiver.url)
    first, second = await dead(api, runtime, clock, receiver, 2)
    await redis.execute("DEL", keys.delivery(first["id"]))
    assert [d["id"] for d in await deliveries(api, status="dead")] == [second["id"]]
    assert await redis.execute("ZRANGE", keys.dead_letters_of_tenant(tenant.id), 0, -1) == [second["id"].encode()]


async def swept(runtime: Runtime) -> None:
    await runtime.queues.run(WorkQueue.SWEEP)
    await runtime.queues.consumers[WorkQueue.SWEEP].idle()


async def test_delivery_attempt_log_is_bounded(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    await ended(api, webhook_url=receiver.url)
    await drained(runtime)
    (one,) = await deliveries(api)
    for _ in range(30):
        await api.post(f"{DELIVERIES}/{one['id']}/redeliver")
        await drained(runtime)
    read = (await api.get(f"{DELIVERIES}/{one['id']}")).json()
    assert (read["attempt_count"], len(read["attempts"])) == (31, 24)
