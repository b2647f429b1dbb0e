"""Limits of what a tenant stores: defaults of new tenants, refusals, and that no owed event is refused."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.tenant import Limits, Tenant
from service.domain.webhook_endpoint import MOST_ENDPOINTS
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store import keys
from service.store.redis.client import Redis
from tests.conftest import Connect
from tests.support import factories
from tests.support.factories import Clock, create_body
from tests.support.receiver import Receiver
from tests.support.webhooks import ENDPOINTS, changed, deliveries, drained, ended, endpoint

NOWHERE = "http://127.0.0.1:65533/hook"
DAY = timedelta(days=1)


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, default_queued_generations=7, default_daily_generations=None)


@pytest.fixture
def connect_with(app: FastAPI, connect: Connect) -> Any:
    """``await connect_with(daily_generations=3)``: a client of a new tenant with these limits only."""

    async def client(**limits: Any) -> httpx.AsyncClient:
        return await connect(await app.state.runtime.tenants.service.create("acme", Limits(**limits)))

    return client


def assert_limited(answer: httpx.Response, code: str, *, status: int = 429) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    if status == 429:
        assert answer.json()["retryable"] is True
        assert int(answer.headers["retry-after"]) > 0


async def create(api: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    return await api.post("/v1/generations", json=create_body(**changes))


# --- defaults of new tenants ------------------------------------------------------------------------------------------


async def test_new_tenant_starts_with_default_limits(operator: httpx.AsyncClient) -> None:
    made = (await operator.post("/admin/v1/tenants", json={"name": "shop"})).json()["limits"]
    assert made["queued_generations"] == 7
    assert made["daily_generations"] is None
    assert made["stored_deliveries"] == 100_000
    assert made["undelivered_tests"] == made["webhook_endpoints"] == MOST_ENDPOINTS
    assert made["daily_new_end_users"] == 1_000


async def test_new_tenant_explicit_limits_replace_defaults(operator: httpx.AsyncClient) -> None:
    given = {"queued_generations": None, "stored_deliveries": 5}
    made = (await operator.post("/admin/v1/tenants", json={"name": "shop", "limits": given})).json()
    assert {name: made["limits"][name] for name in given} == given
    assert made["limits"]["daily_new_end_users"] == 1_000
    change = {"limits": {"stored_deliveries": None}}
    after = (await operator.patch(f"/admin/v1/tenants/{made['id']}", json=change)).json()
    assert after["limits"]["stored_deliveries"] is None


def test_default_limit_none_is_passed_to_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    own = factories.settings("redis://127.0.0.1:1/0", default_daily_generations=None, default_monthly_budget_usd=100)
    variables = own.environment()
    assert variables["GATEWAY_DEFAULT_DAILY_GENERATIONS"] == "none"
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    assert Settings().default_daily_generations is None
    assert Settings().default_monthly_budget_usd == 100


# --- refusals ---------------------------------------------------------------------------------------------------------


async def test_daily_limit_counts_canceled_generations(connect_with: Any, clock: Clock) -> None:
    api = await connect_with(daily_generations=3)
    key = {"Idempotency-Key": "order-1"}
    first = await api.post("/v1/generations", json=create_body(), headers=key)
    for _ in range(2):
        await ended(api)
    assert_limited(await create(api), "daily_limited")
    replayed = await api.post("/v1/generations", json=create_body(), headers=key)
    assert (replayed.status_code, replayed.json()["id"]) == (202, first.json()["id"])
    clock.advance(DAY)
    assert (await create(api)).status_code == 202


async def test_end_user_daily_count_counts_canceled_generations(connect_with: Any) -> None:
    api = await connect_with(end_user_daily_count=2)
    for _ in range(2):
        await ended(api, end_user_id="customer-7")
    assert_limited(await create(api, end_user_id="customer-7"), "end_user_limited")
    assert (await create(api, end_user_id="customer-8")).status_code == 202


async def test_new_end_users_limit_accepts_known_end_users(connect_with: Any, clock: Clock) -> None:
    api = await connect_with(daily_new_end_users=2)
    for name in ("one", "two", "one"):
        assert (await create(api, end_user_id=name)).status_code == 202
    assert_limited(await create(api, end_user_id="three"), "new_end_users_limited")
    assert (await create(api, end_user_id="two")).status_code == 202
    assert (await create(api)).status_code == 202, "no end user is named"
    clock.advance(DAY)
    assert (await create(api, end_user_id="three")).status_code == 202
    usage = (await api.get("/v1/usage")).json()
    assert all("new_end_users" not in day["outcomes"] for day in usage["days"])


async def test_refused_new_end_user_leaves_no_key(connect_with: Any, redis: Redis) -> None:
    api = await connect_with(daily_new_end_users=0)
    before = set(await redis.execute("KEYS", "*"))
    assert_limited(await create(api, end_user_id="one"), "new_end_users_limited")
    assert {
        name for name in set(await redis.execute("KEYS", "*")) - before if b"one" in name or b"eu_" in name
    } == set()


async def test_endpoint_limit_of_tenant_is_409(connect_with: Any) -> None:
    api = await connect_with(webhook_endpoints=1)
    made = await endpoint(api, NOWHERE)
    assert_limited(await api.post(ENDPOINTS, json={"url": NOWHERE}), "conflict", status=409)
    await changed(api, made, description="a change of an endpoint is not a new one")


async def test_undelivered_tests_are_limited_until_they_end(connect_with: Any, runtime: Runtime, clock: Clock) -> None:
    api = await connect_with(undelivered_tests=2)
    with Receiver() as receiver:
        made = await endpoint(api, receiver.url)
        path = f"{ENDPOINTS}/{made['id']}/test"
        receiver.answers[:] = [500, 500]
        for _ in range(2):
            assert (await api.post(path)).status_code == 202
        await drained(runtime)
        assert_limited(await api.post(path), "too_many_tests")
        clock.advance(timedelta(seconds=7))
        await drained(runtime)
        assert (await api.post(path)).status_code == 202


async def test_stored_deliveries_limit_refuses_creates_and_tests_only(
    connect_with: Any, runtime: Runtime, clock: Clock, redis: Redis
) -> None:
    api = await connect_with(stored_deliveries=3)
    made = await endpoint(api, NOWHERE)
    await changed(api, await endpoint(api, f"{NOWHERE}/2"), enabled=False)
    accepted = [(await create(api)).json()["id"] for _ in range(3)]
    for name in accepted:
        (await api.post(f"/v1/generations/{name}/cancel")).raise_for_status()
    assert len(await deliveries(api)) == 6, "the events of accepted generations are owed"
    assert_limited(await create(api), "deliveries_full")
    assert_limited(await api.post(f"{ENDPOINTS}/{made['id']}/test"), "deliveries_full")
    dead = (await deliveries(api, status="dead"))[0]
    await changed(api, next(each for each in (await api.get(ENDPOINTS)).json()["data"] if not each["enabled"]))
    assert (await api.post(f"/v1/deliveries/{dead['id']}/redeliver")).is_success, "a replay stores nothing new"
    await until_purged(runtime, clock, redis)
    assert (await create(api)).status_code == 202


async def until_purged(runtime: Runtime, clock: Clock, redis: Redis) -> None:
    clock.advance(runtime.settings.retention)
    for _ in range(12):
        for work_queue in (WorkQueue.DELIVER, WorkQueue.SWEEP):
            await runtime.queues.run(work_queue)
            await runtime.queues.consumers[work_queue].idle()
        clock.advance(timedelta(hours=13))
    assert await redis.execute("KEYS", f"{keys.delivery('')}*") == []


async def test_deleted_tenant_leaves_no_undelivered_tests(
    connect: Connect, tenant: Tenant, runtime: Runtime, clock: Clock, redis: Redis
) -> None:
    api = await connect(tenant)
    made = await endpoint(api, NOWHERE)
    (await api.post(f"{ENDPOINTS}/{made['id']}/test")).raise_for_status()
    assert await redis.execute("SCARD", keys.undelivered_tests_of_tenant(tenant.id)) == 1
    await api.delete(f"{ENDPOINTS}/{made['id']}")
    await drained(runtime)
    assert await redis.execute("EXISTS", keys.undelivered_tests_of_tenant(tenant.id)) == 0
