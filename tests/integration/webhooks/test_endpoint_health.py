"""Endpoints with failures only: warned of in stages, then disabled; their events can be replayed."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from service.config.settings import Settings
from service.domain.tenant import Tenant
from service.domain.webhook_endpoint import Health
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime, open_runtime
from service.store import keys
from tests.support import factories
from tests.support.factories import Clock
from tests.support.receiver import Receiver
from tests.support.webhooks import ENDPOINTS, changed, deliveries, drained, drained_until, ended, endpoint, read

NEWS = ["endpoint.failing", "endpoint.disabled"]
HOUR = timedelta(hours=1)


@pytest.fixture
def settings(redis_url: str) -> Settings:
    """Return settings with one attempt per event: the test decides which event fails, and when."""
    return factories.settings(redis_url, webhook_schedule=(timedelta(0),))


@pytest.fixture
def watcher() -> Iterator[Receiver]:
    """Return an endpoint that receives events about the other endpoint."""
    with Receiver() as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        running.otherwise = 500
        yield running


async def failed(api: httpx.AsyncClient, runtime: Runtime, *, hours: float, clock: Clock) -> None:
    """Fail one more event, so many hours after the last one."""
    clock.advance(hours * HOUR)
    await ended(api)
    await drained(runtime)
    await drained(runtime)  # the change of the endpoint is an event too


def stages(watcher: Receiver) -> list[Any]:
    return [
        (r.json["type"], r.json["data"]["failing"] and r.json["data"]["failing"]["percent"]) for r in watcher.received
    ]


async def test_failing_endpoint_is_warned_per_stage_then_disabled(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver, watcher: Receiver
) -> None:
    made = await endpoint(api, receiver.url, description="orders")
    await endpoint(api, watcher.url, events=NEWS)
    begun = clock()
    for _ in range(22):
        await failed(api, runtime, hours=6, clock=clock)

    assert stages(watcher) == [
        ("endpoint.failing", 50),
        ("endpoint.failing", 70),
        ("endpoint.failing", 90),
        ("endpoint.disabled", 100),
    ]
    assert {r.json["data"]["id"] for r in watcher.received} == {made["id"]}
    assert watcher.received[-1].json["data"]["description"] == "orders"
    assert not [r for r in watcher.received if b"whsec_" in r.body]
    shown = await read(api, made)
    assert (shown["enabled"], shown["disabled"]["reason"]) == (False, "failing")
    attempts = len(receiver.received)
    assert attempts == 21, "five days after the first failure, at the first event"
    assert clock() - begun > timedelta(days=5)


async def test_success_resets_failure_streak(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver, watcher: Receiver
) -> None:
    made = await endpoint(api, receiver.url)
    await endpoint(api, watcher.url, events=NEWS)
    for _ in range(11):
        await failed(api, runtime, hours=6, clock=clock)
    assert stages(watcher) == [("endpoint.failing", 50)]
    assert (await read(api, made))["failing"]["percent"] == 50
    receiver.answers[:] = [204]
    await failed(api, runtime, hours=6, clock=clock)
    assert (await read(api, made))["failing"] is None
    for _ in range(10):
        await failed(api, runtime, hours=6, clock=clock)
    assert stages(watcher) == [("endpoint.failing", 50)]
    assert (await read(api, made))["enabled"]


@pytest.mark.parametrize(
    ("gaps", "failing"),
    [
        ([0], False),
        ([0, 11.9], False),
        ([0, 12], True),
        ([0, 24], True),
        ([0, 25], False),
        ([0, 5, 5], False),
        ([0, 23, 12], True),
        ([0, 11, 14], True),
        ([0] * 50, False),
        ([0, 120], False),
        ([0, 120, 120, 120], False),
    ],
)
async def test_failure_streak_needs_failures_within_interval(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver, gaps: list[float], failing: bool
) -> None:
    """One hour of failures, or failures of a receiver with one event a week, do not disable an endpoint."""
    made = await endpoint(api, receiver.url)
    for hours in gaps:
        await failed(api, runtime, hours=hours, clock=clock)
    shown = await read(api, made)
    assert shown["enabled"]
    assert (shown["failing"]["percent"] > 0) is failing
    assert shown["failing"]["attempts"] == len(gaps)


async def test_endpoint_410_disables_at_once(
    api: httpx.AsyncClient, runtime: Runtime, receiver: Receiver, watcher: Receiver
) -> None:
    receiver.answers[:] = [410]
    made = await endpoint(api, receiver.url)
    await endpoint(api, watcher.url, events=NEWS)
    await ended(api)
    await drained(runtime)
    await drained(runtime)
    assert (await read(api, made))["disabled"]["reason"] == "gone"
    assert stages(watcher) == [("endpoint.disabled", None)]
    (dead,) = await deliveries(api, endpoint_id=made["id"])
    assert (dead["status"], dead["last_attempt"]["status"]) == ("dead", 410)


async def test_request_webhook_410_disables_no_endpoint(
    api: httpx.AsyncClient, runtime: Runtime, receiver: Receiver
) -> None:
    receiver.answers[:] = [410]
    made = await endpoint(api, "http://127.0.0.1:65533/", enabled=False)
    await ended(api, webhook_url=receiver.url)
    await drained(runtime)
    assert (await read(api, made))["disabled"]["reason"] == "requested"


async def test_event_of_disabled_endpoint_is_dead_letter(
    api: httpx.AsyncClient, runtime: Runtime, receiver: Receiver
) -> None:
    receiver.otherwise = 204
    made = await endpoint(api, receiver.url, enabled=False)
    names = [await ended(api) for _ in range(3)]
    await drained(runtime)
    assert receiver.received == []
    dead = await deliveries(api, status="dead")
    assert {d["generation_id"] for d in dead} == set(names)
    assert {d["attempt_count"] for d in dead} == {0}
    refused = await api.post("/v1/deliveries/replay", json={"endpoint_id": made["id"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert (await api.post(f"/v1/deliveries/{dead[0]['id']}/redeliver")).status_code == 409
    assert (await api.post(f"{ENDPOINTS}/{made['id']}/test")).status_code == 409

    await changed(api, made)

    answer = await api.post("/v1/deliveries/replay", json={"endpoint_id": made["id"]})
    assert (answer.json()["replayed"], answer.json()["skipped"]) == (3, 0)
    await drained(runtime)
    assert {r.json["data"]["id"] for r in receiver.received} == set(names)
    assert {d["status"] for d in await deliveries(api)} == {"delivered"}


@pytest.mark.parametrize("verb", ["disable", "delete"])
async def test_delivery_of_deleted_endpoint_is_dead_without_attempt(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock, receiver: Receiver, verb: str
) -> None:
    made = await endpoint(api, receiver.url)
    await ended(api)
    if verb == "disable":
        await changed(api, made, enabled=False)
    else:
        await api.delete(f"{ENDPOINTS}/{made['id']}")
    await drained(runtime)
    assert receiver.received == []
    (dead,) = await deliveries(api, status="dead")
    assert (dead["attempt_count"], dead["next_attempt_at"]) == (0, None)
    assert (await api.post(f"/v1/deliveries/{dead['id']}/redeliver")).status_code == 409
    assert await runtime.redis.execute("EXISTS", keys.endpoint_queue(f"{tenant.id}:{made['id']}")) == 0


async def test_enabled_endpoint_has_no_failures(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver, watcher: Receiver
) -> None:
    made = await endpoint(api, receiver.url)
    await endpoint(api, watcher.url, events=NEWS)
    for _ in range(22):
        await failed(api, runtime, hours=6, clock=clock)
    assert not (await read(api, made))["enabled"]
    await changed(api, made)
    for _ in range(22):
        await failed(api, runtime, hours=6, clock=clock)
    assert [kind for kind, _ in stages(watcher)] == [*["endpoint.failing"] * 3, "endpoint.disabled"] * 2


async def test_one_delivery_schedule_does_not_disable_endpoint(
    redis_url: str, api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    """All attempts of one event, by the schedule of production, are one streak, which is far from its limit."""
    made = await endpoint(api, receiver.url)
    await ended(api)
    async with open_runtime(factories.settings(redis_url), clock=clock) as usual:
        await drained_until(usual, clock, clock() + timedelta(days=2))
    assert len(receiver.received) == 8
    shown = await read(api, made)
    assert shown["enabled"]
    assert shown["failing"] is not None


async def test_warning_event_is_purged_after_retention(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver, watcher: Receiver
) -> None:
    receiver.answers[:] = [410]
    await endpoint(api, receiver.url)
    other = await endpoint(api, watcher.url, events=NEWS)
    await api.post(f"{ENDPOINTS}/{other['id']}/test")
    await ended(api)
    await drained(runtime)
    await drained(runtime)
    assert sorted(d["event"] for d in await deliveries(api, endpoint_id=other["id"])) == [
        "endpoint.disabled",
        "webhook.test",
    ]
    clock.advance(runtime.settings.retention + timedelta(minutes=1))
    await runtime.queues.run(WorkQueue.SWEEP)
    await runtime.queues.consumers[WorkQueue.SWEEP].idle()
    assert await deliveries(api) == []
    left = {name.decode() for name in await runtime.redis.execute("KEYS", "*")}
    remaining = {
        name for name in left if re.search("deliver|endpoint:|dead", name) and not name.startswith(f"{keys.TAG}nudged:")
    }
    assert {name for name in remaining if not name.endswith(":health")} == set(), "the health expires by itself"
    assert [await runtime.redis.execute("TTL", name) > 0 for name in remaining] == [True, True]
    assert await runtime.redis.execute("ZCARD", keys.due(WorkQueue.SWEEP)) == 0


async def test_410_after_tenant_disable_changes_nothing(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock, receiver: Receiver, watcher: Receiver
) -> None:
    made = await endpoint(api, receiver.url)
    await endpoint(api, watcher.url, events=NEWS)
    before = await runtime.webhooks.endpoints.get(tenant, made["id"])
    await changed(api, made, enabled=False)
    await runtime.queues.endpoint_health.gone(before, clock())
    await drained(runtime)
    assert (await read(api, made))["disabled"]["reason"] == "requested"
    assert watcher.received == []


async def test_concurrent_success_resets_last_failure(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock, receiver: Receiver, watcher: Receiver
) -> None:
    """The receiver recovers while one of many attempts still fails: a success comes before the failure is evaluated."""
    made = await endpoint(api, receiver.url)
    await endpoint(api, watcher.url, events=NEWS)
    begun = clock() + 6 * HOUR
    for _ in range(20):
        await failed(api, runtime, hours=6, clock=clock)
    count = len(stages(watcher))
    before = await runtime.webhooks.endpoints.get(tenant, made["id"])
    receiver.answers[:] = [204]
    await failed(api, runtime, hours=6, clock=clock)
    decline = runtime.queues.endpoint_health
    await decline.note(before, Health(begun, percent=100, warned_percent=90), clock())
    await drained(runtime)
    assert (await read(api, made))["enabled"]
    assert len(stages(watcher)) == count
