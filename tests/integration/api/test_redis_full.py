"""Redis nearly full, and above its limit: new data is refused, everything else continues."""

import asyncio
import time
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from redis.exceptions import ResponseError

from service.domain.tenant import Scope, Tenant
from service.domain.webhook_endpoint import Endpoint
from service.errors import StoreUnavailable
from service.runtime import Runtime
from service.store.redis.client import Redis
from service.store.redis.memory import MemoryMonitor, MemoryPolicy
from tests.support.factories import create_body
from tests.support.memory import expire_reading, full
from tests.support.store_world import fresh_endpoint

#: Nearly full, when the gateway refuses; and above the limit, when Redis refuses too.
BOTH = pytest.mark.parametrize("used", [0.9, 1.2])
PATIENCE = 20.0


@pytest.fixture
def redis(app: FastAPI) -> Redis:
    """A Redis of this test."""
    opened: Redis = app.state.runtime.redis
    return opened


def assert_refused(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] == "store_full"
    assert answer.json()["retryable"] is True
    assert int(answer.headers["retry-after"]) > 0


@BOTH
async def test_redis_full_refuses_new_data(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, app: FastAPI, redis: Redis, tenant: Tenant, used: float
) -> None:
    endpoint = await app.state.runtime.stores.endpoints.put(fresh_endpoint(tenant))
    assert isinstance(endpoint, Endpoint)
    inline = create_body(image_url="data:image/png;base64,iVBORw0KGgo=")
    endpoints = {"url": "http://127.0.0.1:9000/"}
    with full(redis.url, used=used):
        expire_reading(redis)
        assert_refused(await api.post("/v1/generations", json=create_body()))
        assert_refused(await api.post("/v1/generations", json=inline))
        assert_refused(await api.post("/v1/webhook-endpoints", json=endpoints))
        assert_refused(await api.post(f"/v1/webhook-endpoints/{endpoint.id}/test"))
        assert_refused(await operator.post("/admin/v1/tenants", json={"name": "Shop"}))
        assert_refused(await operator.post(f"/admin/v1/tenants/{tenant.id}/keys", json={}))


@BOTH
async def test_redis_full_accepted_work_continues(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, app: FastAPI, redis: Redis, tenant: Tenant, used: float
) -> None:
    endpoint = await app.state.runtime.stores.endpoints.put(fresh_endpoint(tenant))
    headers = {"Idempotency-Key": "order-7"}
    body = create_body(end_user_id="customer-8")
    created = (await api.post("/v1/generations", json=body, headers=headers)).json()
    with full(redis.url, used=used):
        expire_reading(redis)
        replayed = await api.post("/v1/generations", json=body, headers=headers)
        assert (replayed.status_code, replayed.json()["id"]) == (202, created["id"])
        calls: list[tuple[httpx.AsyncClient, str, str, Any]] = [
            (api, "GET", f"/v1/generations/{created['id']}", None),
            (api, "GET", "/v1/generations", None),
            (api, "POST", f"/v1/generations/{created['id']}/cancel", None),
            (api, "POST", "/v1/generations/estimate", create_body()),
            (api, "POST", "/v1/end-users/customer-8/block", None),
            (api, "DELETE", f"/v1/webhook-endpoints/{endpoint.id}", None),
            (operator, "POST", "/admin/v1/pause", {"reason": "full"}),
            (operator, "POST", "/admin/v1/drain", {"reason": "full"}),
            (operator, "POST", "/admin/v1/resume", None),
            (operator, "POST", f"/admin/v1/tenants/{tenant.id}/suspend", None),
        ]
        for client, method, path, body in calls:
            answer = await client.request(method, path, json=body)
            assert answer.is_success, (path, answer.text)


@BOTH
async def test_redis_full_readiness_reports_and_stays_ready(
    anonymous: httpx.AsyncClient, redis: Redis, used: float
) -> None:
    assert (await anonymous.get("/readyz")).json()["checks"]["memory"] == "ok"
    with full(redis.url, used=used):
        answer = await anonymous.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["checks"]["redis"] == "ok"
    assert answer.json()["checks"]["memory"] == "failing"


async def test_redis_full_creates_resume_with_free_memory(api: httpx.AsyncClient, redis: Redis) -> None:
    with full(redis.url, used=0.9):
        expire_reading(redis)
        assert_refused(await api.post("/v1/generations", json=create_body()))
    give_up = time.monotonic() + PATIENCE
    while (answer := await api.post("/v1/generations", json=create_body())).status_code == 503:
        assert time.monotonic() < give_up
        await asyncio.sleep(0.05)
    assert answer.status_code == 202


async def test_memory_setting_applies_without_redis_limit(redis: Redis) -> None:
    own = MemoryMonitor(redis._read_memory, MemoryPolicy(limit=1000))
    assert await own.refuses_creates()
    assert own._memory.source == "GATEWAY_REDIS_MEMORY_LIMIT"
    with full(redis.url, used=0.5):
        assert not await MemoryMonitor(redis._read_memory, MemoryPolicy(limit=1000)).refuses_creates()


# --- what is read of its memory ---------------------------------------------------------------------------------------


async def test_memory_of_redis_is_read_once_for_many_creates(monkeypatch: pytest.MonkeyPatch) -> None:
    now, readings = 100.0, 0
    monkeypatch.setattr("service.store.redis.memory.time.monotonic", lambda: now)

    async def read() -> dict[str, str]:
        nonlocal readings
        readings += 1
        return {"used_memory": str(readings), "maxmemory": "2"}

    monitor = MemoryMonitor(read, MemoryPolicy(create_share=1))
    assert await asyncio.gather(*(monitor.refuses_creates() for _ in range(100))) == [False] * 100
    assert readings == 1

    now += 0.7  # the memory is read again, and the previous value is used once more
    assert await monitor.refuses_creates() is False
    await asyncio.sleep(0)
    assert readings == 2
    assert await monitor.refuses_creates() is True

    now += 1.1  # the value is too old to be used
    readings = 0
    assert await monitor.refuses_creates() is False
    assert readings == 1


async def test_memory_read_without_response_fails_create_at_once() -> None:
    async def read() -> dict[str, str]:
        raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable, match="away"):
        await MemoryMonitor(read, MemoryPolicy()).demand_room()


async def test_memory_read_forbidden_refuses_nothing() -> None:
    async def read() -> dict[str, str]:
        raise ResponseError("NOPERM")

    assert not await MemoryMonitor(read, MemoryPolicy()).refuses_creates()


# --- noting a key's use -----------------------------------------------------------------------------------------------


async def test_key_use_write_failure_fails_no_call(runtime: Runtime, redis_url: str) -> None:
    """Redis refuses all writes; the last use is recorded when Redis accepts writes again."""
    owner = await runtime.tenants.service.create("acme")
    made = await runtime.tenants.api_keys.create(owner.id)
    await runtime.redis.execute("CONFIG", "SET", "min-replicas-to-write", 1)
    try:
        assert (await runtime.tenants.authenticator.authenticate(made.text, Scope.READ)).key == made.key
        assert (await runtime.stores.api_keys.last_uses([made.key.id]))[made.key.id] is None
    finally:
        await runtime.redis.execute("CONFIG", "SET", "min-replicas-to-write", 0)
    await runtime.tenants.authenticator.authenticate(made.text, Scope.READ)
    assert (await runtime.stores.api_keys.last_uses([made.key.id]))[made.key.id] is not None
