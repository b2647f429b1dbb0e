"""Redis unavailable: 503, no partial write, and full recovery after its return."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.cli.dev.embedded_redis import EmbeddedRedis
from service.config.settings import Settings
from tests.conftest import Scrape
from tests.support import factories
from tests.support.factories import create_body
from tests.support.waiting import until, until_subscribed, until_waiting


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis that the test may kill."""
    server = EmbeddedRedis(tmp_path)
    try:
        yield server.start()
    finally:
        server.end()


@pytest.fixture
def settings(own_redis: EmbeddedRedis) -> Settings:
    return factories.settings(own_redis.url)


CALLS = [
    ("GET", "/v1/generations", None),
    ("GET", "/v1/generations/gen_0123456789abcdefghjkmnpqrs", None),
    ("GET", "/v1/generations/gen_0123456789abcdefghjkmnpqrs?wait=5", None),
    ("POST", "/v1/generations", create_body()),
    ("POST", "/v1/generations/gen_0123456789abcdefghjkmnpqrs/cancel", None),
    ("POST", "/v1/uploads", None),
    ("GET", "/admin/v1/tenants", None),
    ("POST", "/admin/v1/tenants", {"name": "Shop"}),
    ("GET", "/readyz", None),
]


async def test_redis_unavailable_returns_503_with_retry_after(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, app: FastAPI, own_redis: EmbeddedRedis, scrape: Scrape
) -> None:
    await asyncio.to_thread(own_redis.kill)
    app.state.runtime.tenants.authenticator.forget()

    for method, path, body in CALLS:
        client = operator if path.startswith("/admin") else api
        answer = await client.request(method, path, json=body)

        assert answer.status_code == 503, (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["retryable"] is True
        assert int(answer.headers["retry-after"]) > 0
    for path in ("/healthz", "/readyz/process"):
        assert (await api.get(path)).status_code == 200, "a load balancer leaves this gateway in service"
    assert "gateway_redis_up 0.0" in await scrape()


async def test_redis_unavailable_create_can_be_repeated(
    api: httpx.AsyncClient, app: FastAPI, own_redis: EmbeddedRedis
) -> None:
    headers = {"Idempotency-Key": "order-7"}
    await asyncio.to_thread(own_redis.kill)
    assert (await api.post("/v1/generations", json=create_body(), headers=headers)).status_code == 503
    await asyncio.to_thread(own_redis.restart)

    listed = (await api.get("/v1/generations")).json()
    again = await api.post("/v1/generations", json=create_body(), headers=headers)

    assert listed["data"] == []
    assert again.status_code == 202
    assert "idempotency-replayed" not in again.headers


async def test_redis_killed_accepted_generations_survive(
    api: httpx.AsyncClient, app: FastAPI, own_redis: EmbeddedRedis
) -> None:
    accepted: list[dict[str, Any]] = []

    async def create() -> None:
        while True:
            answer = await api.post("/v1/generations", json=create_body())
            if answer.status_code != 202:
                return
            accepted.append(answer.json())

    async def enough() -> bool:
        return len(accepted) > 20

    callers = [asyncio.create_task(create()) for _ in range(10)]
    await until(enough)
    await asyncio.to_thread(own_redis.kill)
    await asyncio.gather(*callers)
    await asyncio.to_thread(own_redis.restart)

    found = {
        created["id"]: (await api.get(f"/v1/generations/{created['id']}")).json()["status"] for created in accepted
    }
    assert len(found) == len(accepted) > 10
    assert set(found.values()) == {"queued"}
    due = {entry.id for entry in (await _claim_all(app)).taken}
    assert set(found) <= due, "and each waits for dispatch"


async def test_redis_unavailable_ends_long_poll_and_recovers(
    api: httpx.AsyncClient, app: FastAPI, own_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.usecases.generations.read._REREAD_SECONDS", 60)
    created = (await api.post("/v1/generations", json=create_body())).json()
    waiting = asyncio.create_task(api.get(f"/v1/generations/{created['id']}", params={"wait": 30}))
    await until_waiting(app.state.runtime)
    await asyncio.to_thread(own_redis.kill)
    assert (await waiting).status_code == 503
    await asyncio.to_thread(own_redis.restart)
    await until_subscribed(app.state.runtime)

    waiting = asyncio.create_task(api.get(f"/v1/generations/{created['id']}", params={"wait": 30}))
    await until_waiting(app.state.runtime)
    await api.post(f"/v1/generations/{created['id']}/cancel")

    async with asyncio.timeout(20):
        assert (await waiting).json()["status"] == "canceled"


async def _claim_all(app: FastAPI) -> Any:
    from datetime import timedelta

    runtime = app.state.runtime
    return await runtime.stores.queue.claim(
        now=runtime.clock() + timedelta(seconds=1), most=100_000, lease=timedelta(minutes=1), slots=100_000
    )
