"""Limits of a tenant: entitlements, the length of its queue, retention, requests per minute."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.domain import ids
from service.domain.tenant import Limits, Tenant
from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.observability import metrics
from service.runtime import Runtime
from service.store.redis.client import Redis, Script
from service.store.tenants.rates import RateLimiter
from tests.conftest import Connect
from tests.support import factories
from tests.support.factories import Clock, create_body


@pytest.fixture
def connect_with(app: FastAPI, connect: Connect) -> Any:
    """``await connect_with(weight=3)``: a client of a new tenant with these limits."""

    async def client(*, require_end_user: bool = False, **limits: Any) -> httpx.AsyncClient:
        tenants = app.state.runtime.tenants.service
        return await connect(await tenants.create("acme", Limits(**limits), require_end_user=require_end_user))

    return client


async def create(api: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    return await api.post("/v1/generations", json=create_body(**changes))


async def created(api: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await create(api, **changes)
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    return made


def pointers(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [fault["pointer"] for fault in answer.json()["errors"]]


# --- what it may ask for ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["/v1/generations", "/v1/generations/estimate"])
async def test_create_beyond_entitlement_returns_422(connect_with: Any, route: str) -> None:
    api = await connect_with(require_end_user=True, resolutions=("480p",), durations=("4", "auto"))
    answer = await api.post(route, json=create_body(duration=5))
    assert pointers(answer) == ["/resolution", "/duration", "/end_user_id"]
    wanted = create_body(resolution="480p", duration=4, end_user_id="customer-7")
    assert (await api.post(route, json=wanted)).is_success
    assert pointers(await api.post(route, json={**wanted, "resolution": "720p"})) == ["/resolution"]
    assert pointers(await api.post(route, json={**wanted, "end_user_id": None})) == ["/end_user_id"]


async def test_create_without_webhook_uses_tenant_default(connect_with: Any) -> None:
    api = await connect_with(webhook_url="http://127.0.0.1:9000/default")
    assert (await created(api))["webhook_url"] == "http://127.0.0.1:9000/default"
    own = await created(api, webhook_url="http://127.0.0.1:9000/own")
    assert own["webhook_url"] == "http://127.0.0.1:9000/own"


async def test_queue_limit_refuses_until_one_leaves(connect_with: Any, other_api: httpx.AsyncClient) -> None:
    api = await connect_with(queued_generations=2)
    first, _ = await created(api), await created(api)
    answer = await create(api)
    assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["retryable"] is True
    assert (await create(other_api)).status_code == 202
    await api.post(f"/v1/generations/{first['id']}/cancel")
    await created(api)


async def test_queue_limit_ignores_submitted_generations(connect_with: Any, runtime: Runtime, clock: Clock) -> None:
    api = await connect_with(queued_generations=1)
    g = await created(api)
    await runtime.transitions.apply(g["id"], lambda g: g.submitting(clock()))
    await created(api)
    await runtime.transitions.apply(g["id"], lambda g: g.requeued())
    assert (await create(api)).status_code == 429


async def test_retention_is_per_tenant(
    connect_with: Any, runtime: Runtime, other_api: httpx.AsyncClient, clock: Clock
) -> None:
    api = await connect_with(retention=timedelta(hours=1))
    ended = [(client, await created(client)) for client in (api, other_api)]
    for client, g in ended:
        await client.post(f"/v1/generations/{g['id']}/cancel")

    async def statuses_after(wait: timedelta) -> list[int]:
        clock.advance(wait)
        await runtime.queues.run(WorkQueue.SWEEP)
        await runtime.queues.consumers[WorkQueue.SWEEP].idle()
        return [(await client.get(f"/v1/generations/{g['id']}")).status_code for client, g in ended]

    assert await statuses_after(timedelta(minutes=59)) == [200, 200]
    assert await statuses_after(timedelta(minutes=1)) == [404, 200]
    assert await statuses_after(runtime.settings.retention) == [404, 404]


# --- calls a minute ---------------------------------------------------------------------------------------------------

#: RFC 9651: an item is a string with parameters; the draft's are q (quota) and w (window), r (remaining), t (seconds).
POLICY = re.compile(r'"[a-z]+";q=(\d+);w=(\d+)')
STATE = re.compile(r'"[a-z]+";r=(\d+);t=(\d+)')


def fields(answer: httpx.Response) -> tuple[int, ...]:
    """Return the parameters q, w, r, t."""
    policy = POLICY.fullmatch(answer.headers["ratelimit-policy"])
    state = STATE.fullmatch(answer.headers["ratelimit"])
    assert policy is not None, answer.headers
    assert state is not None, answer.headers
    assert answer.headers["ratelimit"].split(";")[0] == answer.headers["ratelimit-policy"].split(";")[0]
    return tuple(int(number) for number in (*policy.groups(), *state.groups()))


async def test_rate_limit_allows_burst_then_rate(connect_with: Any, clock: Clock) -> None:
    api = await connect_with(requests_per_minute=6, burst=3)  # one request in ten seconds
    limit_fields = [fields(await api.get("/v1/usage")) for _ in range(3)]
    assert limit_fields == [(6, 60, 2, 10), (6, 60, 1, 20), (6, 60, 0, 30)]
    refused = await api.get("/v1/usage")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.json()["retryable"] is True
    assert (refused.headers["retry-after"], fields(refused)) == ("10", (6, 60, 0, 30))
    clock.advance(timedelta(seconds=9, milliseconds=999))
    early = await api.get("/v1/usage")
    assert (early.status_code, early.headers["retry-after"]) == (429, "1")
    clock.advance(timedelta(milliseconds=1))
    assert [(await api.get("/v1/usage")).status_code for _ in range(2)] == [200, 429]
    clock.advance(timedelta(seconds=30))
    assert [(await api.get("/v1/usage")).status_code for _ in range(4)] == [200, 200, 200, 429]


@pytest.mark.parametrize(("per_minute", "burst"), [(1, 1), (9, 1), (600, 60)])
async def test_rate_limit_default_burst_is_a_tenth(redis: Redis, clock: Clock, per_minute: int, burst: int) -> None:
    verdict = await RateLimiter(redis).check("ten_1", Limits(requests_per_minute=per_minute), clock())
    assert verdict is not None
    assert (verdict.burst, verdict.left) == (burst, burst - 1)


async def test_rate_limit_is_per_tenant(app: FastAPI, connect: Connect, other_api: httpx.AsyncClient) -> None:
    tenant = await app.state.runtime.tenants.service.create("acme", Limits(requests_per_minute=6, burst=2))
    one, other = await connect(tenant), await connect(tenant)
    answers = [await one.get("/v1/usage"), await other.get("/v1/generations"), await create(one)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    free = await other_api.get("/v1/usage")
    assert free.status_code == 200
    assert not {"ratelimit", "ratelimit-policy", "retry-after"} & set(free.headers)


async def test_rate_limit_concurrent_calls_pass_exactly_burst(redis: Redis, clock: Clock) -> None:
    limiter, limits = RateLimiter(redis), Limits(requests_per_minute=60, burst=17)
    verdicts = await asyncio.gather(*(limiter.check("ten_1", limits, clock()) for _ in range(100)))
    passed = [verdict for verdict in verdicts if verdict is not None and verdict.allowed]
    assert sorted(verdict.left for verdict in passed) == list(range(17))


async def test_rate_limit_redis_unavailable_admits_calls(
    app: FastAPI, connect_with: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = await connect_with(requests_per_minute=1, burst=1)
    run = Redis.run

    async def without_limiter(self: Redis, script: Script, *arguments: Any, **options: Any) -> Any:
        if script.name == "limit":
            raise StoreUnavailable("away")
        return await run(self, script, *arguments, **options)

    monkeypatch.setattr(Redis, "run", without_limiter)
    before = metrics.RATE_LIMITER_UNAVAILABLE._value.get()
    answers = [await create(api) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202] * 3
    assert "ratelimit" not in answers[0].headers
    assert metrics.RATE_LIMITER_UNAVAILABLE._value.get() == before + 3


# --- end users --------------------------------------------------------------------------------------------------------


async def test_end_user_daily_limit_refuses(connect_with: Any, clock: Clock) -> None:
    clock.now = factories.NOW.replace(hour=23, minute=50)
    api = await connect_with(end_user_daily_count=2)
    first, _ = [await created(api, end_user_id="a") for _ in range(2)]
    await api.post(f"/v1/generations/{first['id']}/cancel")
    refused = await create(api, end_user_id="a")
    assert (refused.status_code, refused.json()["code"]) == (429, "end_user_limited")
    assert refused.headers["retry-after"] == "600", "until midnight UTC"
    await created(api, end_user_id="b")
    await created(api)
    clock.advance(timedelta(minutes=10))
    await created(api, end_user_id="a")


async def test_limit_of_zero_refuses_all(connect_with: Any) -> None:
    for limits, code in (
        ({"queued_generations": 0}, "queue_full"),
        ({"end_user_daily_count": 0}, "end_user_limited"),
    ):
        api = await connect_with(**limits)
        answer = await create(api)
        assert (answer.status_code, answer.json()["code"]) == (429, code)


async def test_changed_limit_applies_after_cache_expiry(
    app: FastAPI, api: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant
) -> None:
    await created(api)
    assert ids.is_id(ids.TENANT, tenant.id)
    await operator.patch(f"/admin/v1/tenants/{tenant.id}", json={"limits": {"queued_generations": 1}})
    app.state.runtime.tenants.authenticator.forget()
    assert (await create(api)).status_code == 429
