"""Budgets in three scopes, all or none: held at create, settled at the end, released if nothing ran."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.cli.dev.embedded_redis import EmbeddedRedis
from service.config.settings import Settings
from service.domain.budgets import Scope, Standing, day, month
from service.domain.end_user import pseudonym
from service.domain.pricing import Rates, usd
from service.domain.status import Status
from service.domain.tenant import Limits, Tenant
from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.runtime import Runtime
from service.store.money.money import MoneyStore
from service.store.redis.client import Redis, Script
from tests.conftest import Connect
from tests.support import factories
from tests.support.factories import Clock, create_body

COST = 708_939  # 480p for 5 seconds
WANTED = {"resolution": "480p", "duration": 5, "end_user_id": "customer-7", "image_url": "https://v3b.fal.media/a.jpg"}
LATE = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)


@pytest.fixture
def settings(redis_url: str) -> Settings:
    """Return settings in which the account may spend the cost of four generations a day."""
    return factories.settings(redis_url, account_daily_budget_usd=Decimal(usd(4 * COST)))


async def client_with(app: FastAPI, connect: Connect, **limits: Any) -> tuple[Tenant, httpx.AsyncClient]:
    tenant = await app.state.runtime.tenants.service.create("acme", Limits(**limits))
    return tenant, await connect(tenant)


async def create(api: httpx.AsyncClient, key: str | None = None, **changes: Any) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await api.post("/v1/generations", json=create_body(**{**WANTED, **changes}), headers=headers)


async def read_standings(redis: Redis, tenant: Tenant, clock: Clock, end_user_id: str = "customer-7") -> list[Standing]:
    """Return the windows of the month, the end user's day and the account's day."""
    found = await MoneyStore(redis).standings(
        tenant.id, pseudonym(tenant, end_user_id), today=day(clock()), this_month=month(clock())
    )
    return [found[scope] for scope in Scope]


def test_create_estimate_follows_prices(settings: Settings) -> None:
    assert Rates(settings.rates).estimate("480p", "5") == COST


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "scope", "fit", "resets_at"),
    [
        ({"monthly_budget": 2 * COST + 1}, "tenant_month", 2, "2026-02-01T00:00:00.000Z"),
        ({"end_user_daily_budget": 3 * COST - 1}, "end_user_day", 2, "2026-02-01T00:00:00.000Z"),
        ({"end_user_daily_budget": 1}, "end_user_day", 0, "2026-02-01T00:00:00.000Z"),
        ({}, "account_day", 4, "2026-02-01T00:00:00.000Z"),
        ({"monthly_budget": COST, "end_user_daily_budget": COST}, "tenant_month", 1, "2026-02-01T00:00:00.000Z"),
    ],
)
async def test_budget_exceeded_names_scope_and_holds_nothing(
    app: FastAPI, connect: Connect, redis: Redis, clock: Clock, limits: Any, scope: str, fit: int, resets_at: str
) -> None:
    clock.now = LATE
    tenant, api = await client_with(app, connect, **limits)
    for _ in range(fit):
        assert (await create(api)).status_code == 202
    before = await read_standings(redis, tenant, clock)
    assert before == [Standing(held=fit * COST, count=fit)] * 3
    refused = await create(api)
    assert (refused.status_code, refused.json()["code"]) == (402, "budget_exceeded")
    budgets = {
        "tenant_month": limits.get("monthly_budget"),
        "end_user_day": limits.get("end_user_daily_budget"),
        "account_day": 4 * COST,
    }
    limit = budgets[scope]
    fields = {name: refused.json()[name] for name in ("scope", "limit", "available", "estimated", "resets_at")}
    assert fields == {
        "scope": scope,
        "limit": usd(limit),
        "available": usd(limit - fit * COST),
        "estimated": usd(COST),
        "resets_at": resets_at,
    }
    assert await read_standings(redis, tenant, clock) == before
    assert (await api.get("/v1/generations")).json()["has_more"] is False
    assert len((await api.get("/v1/generations")).json()["data"]) == fit


async def test_budget_windows_are_utc_days_and_months(app: FastAPI, connect: Connect, clock: Clock) -> None:
    clock.now = datetime(2026, 1, 30, 23, 59, 59, tzinfo=UTC)
    _, api = await client_with(app, connect, monthly_budget=3 * COST, end_user_daily_budget=COST)

    async def outcome() -> str:
        answer = await create(api)
        return "ok" if answer.status_code == 202 else str(answer.json()["scope"])

    assert [await outcome() for _ in range(2)] == ["ok", "end_user_day"]
    clock.advance(timedelta(seconds=1))
    assert [await outcome() for _ in range(2)] == ["ok", "end_user_day"]
    assert (await create(api, end_user_id="another")).status_code == 202
    assert await outcome() == "tenant_month"
    clock.advance(timedelta(days=1))
    assert await outcome() == "ok", "another month"


async def test_account_budget_is_shared_by_tenants(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, clock: Clock
) -> None:
    for client in (api, other_api, api, other_api):
        assert (await create(client)).status_code == 202
    assert (await create(other_api)).json()["scope"] == "account_day"
    clock.advance(timedelta(days=1))
    assert (await create(other_api)).status_code == 202


async def test_budget_is_exact_to_micro_usd(app: FastAPI, connect: Connect, redis: Redis) -> None:
    most = 10**12
    tenant, api = await client_with(app, connect, monthly_budget=most, end_user_daily_budget=most)
    clock = app.state.runtime.clock
    name = f"{{sg}}:money:tenant:{tenant.id}:{month(clock())}"
    await redis.execute("HSET", name, "spent", most - COST + 1)
    refused = (await create(api)).json()
    assert (refused["limit"], refused["available"]) == ("1000000.000000", usd(COST - 1))
    await redis.execute("HSET", name, "spent", most - COST)
    assert (await create(api)).status_code == 202
    assert (await create(api)).json()["available"] == "0.000000"


# --- held, released, settled ------------------------------------------------------------------------------------------


async def test_idempotency_replay_holds_nothing(app: FastAPI, connect: Connect, redis: Redis, clock: Clock) -> None:
    tenant, api = await client_with(app, connect, monthly_budget=COST)
    first, again = await create(api, "order-7"), await create(api, "order-7")
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    assert await read_standings(redis, tenant, clock) == [Standing(held=COST, count=1)] * 3


async def test_cancel_in_queue_releases_hold(
    api: httpx.AsyncClient, tenant: Tenant, redis: Redis, clock: Clock
) -> None:
    g = (await create(api)).json()
    await api.post(f"/v1/generations/{g['id']}/cancel")
    assert await read_standings(redis, tenant, clock) == [Standing(count=1)] * 3


async def test_queue_expiry_releases_hold(
    api: httpx.AsyncClient, tenant: Tenant, runtime: Runtime, clock: Clock
) -> None:
    clock.now = LATE
    g = (await create(api, expires_in=60)).json()
    clock.advance(timedelta(seconds=60))
    await runtime.queues.run(WorkQueue.SWEEP)
    await runtime.queues.consumers[WorkQueue.SWEEP].idle()
    assert (await api.get(f"/v1/generations/{g['id']}")).json()["error"]["code"] == "expired"
    clock.now = LATE
    assert await read_standings(runtime.redis, tenant, clock) == [Standing(count=1)] * 3, (
        "in the windows it was held in"
    )
    assert (await runtime.operations.audit.run()).clean


async def test_settlement_uses_windows_of_hold(
    api: httpx.AsyncClient, tenant: Tenant, runtime: Runtime, clock: Clock
) -> None:
    clock.now = LATE
    g = (await create(api)).json()
    now = clock.advance(timedelta(days=3))
    for verb in (
        lambda g: g.submitting(now),
        lambda g: g.submitted("request-1"),
        lambda g: g.succeeded(factories.output(), COST + 9, now),
    ):
        await runtime.transitions.apply(g["id"], verb)
    assert await read_standings(runtime.redis, tenant, clock) == [Standing()] * 3
    clock.now = LATE
    assert await read_standings(runtime.redis, tenant, clock) == [Standing(spent=COST + 9, count=1)] * 3
    assert (await runtime.operations.audit.run()).clean


# --- asked before -----------------------------------------------------------------------------------------------------


async def test_estimate_creates_and_holds_nothing(app: FastAPI, connect: Connect, redis: Redis, clock: Clock) -> None:
    tenant, api = await client_with(app, connect, end_user_daily_budget=COST)

    async def quote(**changes: Any) -> Any:
        answer = await api.post("/v1/generations/estimate", json=create_body(**{**WANTED, **changes}))
        assert answer.status_code == 200, answer.text
        return answer.json()

    fitting = {
        "object": "estimate",
        "model": "bytedance/seedance-2.0/image-to-video",
        "currency": "USD",
        "estimated": usd(COST),
        "fits": True,
        "parts": {
            "seconds": 5,
            "input_seconds": None,
            "unit_usd": "0.014",
            "factor": "1",
            "formula": usd(COST),
            "published": None,
            "decided_by": "formula",
        },
        "draft": None,
    }
    assert [await quote() for _ in range(2)] == [fitting] * 2
    assert (await quote(duration=6))["fits"] is False
    assert await read_standings(redis, tenant, clock) == [Standing()] * 3
    assert await redis.execute("KEYS", "*generation*") == []
    assert (await create(api)).json()["cost"]["estimated"] == fitting["estimated"]
    assert (await quote())["fits"] is False
    assert (await quote(end_user_id="another"))["fits"] is True


async def test_estimate_includes_account_budget(api: httpx.AsyncClient, other_api: httpx.AsyncClient) -> None:
    for _ in range(4):
        await create(other_api)
    quote = (await api.post("/v1/generations/estimate", json=create_body(**WANTED))).json()
    assert quote["fits"] is False


async def test_max_cost_exceeded_holds_nothing(
    api: httpx.AsyncClient, tenant: Tenant, redis: Redis, clock: Clock
) -> None:
    refused = await create(api, max_cost_usd=usd(COST - 1))
    assert (refused.status_code, refused.json()["code"]) == (402, "max_cost_exceeded")
    assert await read_standings(redis, tenant, clock) == [Standing()] * 3
    assert (await create(api, max_cost_usd=usd(COST))).status_code == 202


# --- Redis away -------------------------------------------------------------------------------------------------------


async def test_create_redis_unavailable_is_refused(
    api: httpx.AsyncClient, tenant: Tenant, redis: Redis, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Redis.run

    async def without_create(self: Redis, script: Script, *arguments: Any, **options: Any) -> Any:
        if script.name == "create":
            raise StoreUnavailable("away")
        return await run(self, script, *arguments, **options)

    monkeypatch.setattr(Redis, "run", without_create)
    answer = await create(api)
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert await read_standings(redis, tenant, clock) == [Standing()] * 3


async def test_holds_survive_redis_restart(tmp_path: Path, clock: Clock) -> None:
    from service.runtime import open_runtime

    server = EmbeddedRedis(tmp_path).start()
    try:
        async with open_runtime(factories.settings(server.url), clock=clock) as runtime:
            tenant = await runtime.tenants.service.create("acme", Limits(monthly_budget=COST))
            request = factories.create_request(**WANTED)
            await runtime.generations.creator.create(tenant, request)
            server.kill()
            with pytest.raises(StoreUnavailable):
                await runtime.generations.creator.create(tenant, request)
            server.restart()
            assert await read_standings(runtime.redis, tenant, clock) == [Standing(held=COST, count=1)] * 3
    finally:
        server.end()


# --- with fal ---------------------------------------------------------------------------------------------------------


class TestWithFal:
    """The settled cost is the amount that the sandbox bills."""

    @pytest.fixture
    def settings(self, redis_url: str, sandbox_url: str) -> Settings:
        return factories.sandbox_settings(redis_url, sandbox_url)

    async def _ended(self, api: httpx.AsyncClient, runtime: Runtime, clock: Clock, prompt: str) -> Any:
        """Create a generation and process it to its end."""
        g = (await create(api, prompt=prompt, duration="auto")).json()
        for drain in (WorkQueue.DISPATCH, *[WorkQueue.POLL] * 2000):
            await runtime.queues.run(drain)
            await runtime.queues.consumers[drain].idle()
            clock.advance(timedelta(seconds=1))  # a slow sandbox must not reach the deadline of the test's clock
            await asyncio.sleep(0.02)
            shown = (await api.get(f"/v1/generations/{g['id']}")).json()
            if shown["finished_at"] is not None:
                return shown
        raise AssertionError(shown["status"])

    async def test_settlement_uses_billed_units(
        self, api: httpx.AsyncClient, tenant: Tenant, runtime: Runtime, clock: Clock
    ) -> None:
        created_at = Clock(clock())
        g = await self._ended(api, runtime, clock, "sandbox:no-video")
        assert g["status"] == Status.SUCCEEDED
        actual, estimated = (int(Decimal(g["cost"][name]) * 10**6) for name in ("actual", "estimated"))
        assert 0 < actual < estimated
        assert await read_standings(runtime.redis, tenant, created_at) == [Standing(spent=actual, count=1)] * 3

    @pytest.mark.parametrize("prompt", ["sandbox:422-submit", "sandbox:policy"])
    async def test_settlement_of_job_not_run_is_zero(
        self, api: httpx.AsyncClient, tenant: Tenant, runtime: Runtime, clock: Clock, prompt: str
    ) -> None:
        created_at = Clock(clock())
        g = await self._ended(api, runtime, clock, prompt)
        assert (g["status"], g["cost"]["actual"]) == (Status.FAILED, "0.000000")
        assert await read_standings(runtime.redis, tenant, created_at) == [Standing(count=1)] * 3
