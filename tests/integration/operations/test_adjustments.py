"""An operator adjusts a cost: record, windows, usage and ledger change together, once, and never below zero."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.adjustment import Correction
from service.domain.budgets import day, month
from service.domain.generation import Due, Generation
from service.domain.status import Status
from service.domain.tenant import Limits, Tenant
from service.domain.work_queue import WorkQueue
from service.errors import CostChanged, OverBudget
from service.runtime import Runtime
from service.store import keys
from service.store.generations.records import dump
from service.store.money.adjustments import AdjustmentStore
from tests.support import factories
from tests.support.factories import Clock
from tests.support.trail import is_of_trail
from tests.support.waiting import process_due, stored

COST = 700_000
HELD = 708_939
MINUS = Correction(-200_000, "jane", "fal credited it")


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    """The gateway's own."""
    found: Runtime = app.state.runtime
    return found


async def settled(runtime: Runtime, owner: Tenant, clock: Clock, *, cost: int = COST, **wanted: Any) -> Generation:
    """One of customer-7 that has ended, at this cost."""
    request = factories.create_request(resolution="480p", duration=5, end_user_id="customer-7", **wanted)
    g = (await runtime.generations.creator.create(owner, request)).generation
    for move in (
        lambda g: g.submitting(clock()),
        lambda g: g.submitted(factories.request_id()),
        lambda g: g.succeeded(factories.output(), cost, clock()),
    ):
        moved = await runtime.transitions.apply(g.id, move)
        assert moved is not None
        g = moved
    return g


async def spent(runtime: Runtime, g: Generation) -> list[int]:
    """Of all three windows, the usage of the day, and that of its end user."""
    on = day(g.created_at)
    windows = (
        keys.money_of_tenant(g.tenant_id, month(g.created_at)),
        keys.money_of_end_user(g.tenant_id, g.end_user, on),
        keys.money_of_account(on),
        keys.usage(g.tenant_id, on),
    )
    sums = [await runtime.redis.execute("HGET", window, "spent") for window in windows]
    score = await runtime.redis.execute("ZSCORE", keys.usage_of_end_users(g.tenant_id, on), g.end_user)
    return [int(float(value)) for value in (*sums, score)]


async def ledger(runtime: Runtime) -> list[dict[str, str]]:
    rows = await runtime.redis.execute("XRANGE", keys.LEDGER, "-", "+")
    entries = [dict(zip(map(bytes.decode, f[::2]), map(bytes.decode, f[1::2]), strict=True)) for _, f in rows]
    return [entry for entry in entries if entry["k"] == "adjust"]


async def everything(runtime: Runtime) -> dict[bytes, bytes]:
    """All of the store, to see that nothing has changed."""
    found = await runtime.redis.execute("KEYS", "*")
    names = [name for name in found if b":broker:" not in name and not is_of_trail(name.decode())]  # hints come late
    return {name: await runtime.redis.execute("DUMP", name) for name in names}


async def adjust(client: httpx.AsyncClient, /, **changes: Any) -> httpx.Response:
    usual = {"amount_usd": "-0.20", "expected_usd": "0.70", "operator": "jane", "reason": "fal credited it"}
    body = {name: value for name, value in {**usual, **changes}.items() if value is not ...}
    return await client.post("/admin/v1/adjustments", json=body)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def of_day(g: Generation) -> dict[str, str]:
    return {"tenant_id": g.tenant_id, "end_user": g.end_user, "day": day(g.created_at)}


# --- by generation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "cost"), [("-0.20", 500_000), (-0.2, 500_000), ("-0.70", 0), ("0.000001", 700_001), (3, 3_700_000)]
)
async def test_adjust_changes_record_windows_usage_and_ledger(
    runtime: Runtime,
    operator: httpx.AsyncClient,
    api: httpx.AsyncClient,
    tenant: Tenant,
    clock: Clock,
    amount: Any,
    cost: int,
) -> None:
    other = await settled(runtime, tenant, clock, cost=1000)
    g = await settled(runtime, tenant, clock)

    answer = await adjust(operator, generation_id=g.id, amount_usd=amount)

    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "object": "adjustment",
        "generation_id": g.id,
        **of_day(g),
        "currency": "USD",
        "amount": f"{(cost - COST) / 1e6:.6f}",
        "cost": f"{cost / 1e6:.6f}",
    }
    after = await stored(runtime, g)
    assert (after.actual_cost, after.version, after.status) == (cost, g.version + 1, Status.SUCCEEDED)
    assert await spent(runtime, g) == [cost + 1000] * 5
    assert (await stored(runtime, other)).actual_cost == 1000
    (entry,) = await ledger(runtime)
    assert entry == {
        "k": "adjust",
        "g": g.id,
        "t": tenant.id,
        "u": g.end_user,
        "h": "0",
        "s": str(cost - COST),
        "day": day(g.created_at),
        "by": "jane",
        "why": "fal credited it",
    }
    assert (await runtime.operations.audit.run()).differences == []
    shown = (await api.get(f"/v1/generations/{g.id}")).json()
    assert shown["cost"]["actual"] == f"{cost / 1e6:.6f}"
    usage = (await api.get("/v1/usage")).json()
    assert usage["spent"] == usage["end_users"][0]["spent"] == f"{(cost + 1000) / 1e6:.6f}"


async def test_adjust_changes_etag_of_generation(
    runtime: Runtime, tenant: Tenant, clock: Clock, api: httpx.AsyncClient, operator: httpx.AsyncClient
) -> None:
    path = f"/v1/generations/{(g := await settled(runtime, tenant, clock)).id}"
    before = await api.get(path)

    assert (await adjust(operator, generation_id=g.id)).is_success

    after = await api.get(path, headers={"If-None-Match": before.headers["etag"]})
    assert (after.status_code, after.json()["cost"]["actual"]) == (200, "0.500000")
    assert after.headers["etag"] != before.headers["etag"]


async def test_adjust_sent_twice_adjusts_once(
    runtime: Runtime, operator: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    g = await settled(runtime, tenant, clock)
    assert (await adjust(operator, generation_id=g.id)).status_code == 200
    before = await everything(runtime)

    again = await adjust(operator, generation_id=g.id)

    assert refusal(again) == (409, "cost_changed")
    assert "0.500000" in again.json()["detail"], "what it is now"
    assert await everything(runtime) == before


async def test_adjust_concurrently_adjusts_once(runtime: Runtime, tenant: Tenant, clock: Clock) -> None:
    g = await settled(runtime, tenant, clock)
    calls = [runtime.operations.adjustments.of_generation(g.id, MINUS, expected=COST) for _ in range(10)]

    results = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(result) for result in results if not isinstance(result, Generation)] == [CostChanged] * 9
    assert await spent(runtime, g) == [500_000] * 5
    assert (await runtime.operations.audit.run()).clean


async def test_adjust_of_changed_record_changes_nothing(runtime: Runtime, tenant: Tenant, clock: Clock) -> None:
    g = await settled(runtime, tenant, clock)
    await runtime.operations.adjustments.of_generation(g.id, MINUS, expected=COST)
    before = await everything(runtime)

    adjusted, _ = await AdjustmentStore(runtime.redis).of_generation(g, MINUS)

    assert adjusted.result == "changed"
    assert await everything(runtime) == before


async def test_adjust_after_erasure(
    runtime: Runtime, operator: httpx.AsyncClient, api: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    g = await settled(runtime, tenant, clock)
    assert (await api.delete("/v1/end-users/customer-7")).status_code == 200

    answer = await adjust(operator, **of_day(g))

    assert answer.status_code == 200, answer.text
    assert await spent(runtime, g) == [500_000] * 5
    assert (await runtime.operations.audit.run()).differences == []


@pytest.mark.parametrize("status", [status for status in Status if not factories.in_status(status).is_terminal])
async def test_adjust_before_end_returns_409(
    runtime: Runtime, operator: httpx.AsyncClient, tenant: Tenant, status: Status
) -> None:
    g = factories.in_status(status, tenant_id=tenant.id)
    await runtime.stores.generations.create(factories.generation(id=g.id, tenant_id=tenant.id), factories.due())
    await runtime.redis.execute("HSET", keys.generation(g.id), "d", dump(g), "s", status, "v", g.version)

    assert refusal(await adjust(operator, generation_id=g.id, expected_usd="0")) == (409, "not_settled")
    assert await ledger(runtime) == []


async def test_adjust_of_failed_and_billed_generation(
    runtime: Runtime, operator: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    g = factories.generation(tenant_id=tenant.id, created_at=clock())
    await runtime.stores.generations.create(g, factories.due(clock()))
    failed = g.submitting(clock()).unconfirmed().failed(factories.failure(code="submission_unconfirmed"), 0, clock())
    await runtime.stores.generations.finish(failed, Due(sweep=clock()), [], now=clock())

    answer = await adjust(operator, generation_id=g.id, expected_usd="0", amount_usd="1.512")

    assert (answer.status_code, answer.json()["cost"]) == (200, "1.512000")
    assert await spent(runtime, g) == [1_512_000] * 5
    assert (await runtime.operations.audit.run()).clean


async def test_adjust_is_reversed_by_revive(runtime: Runtime, tenant: Tenant, clock: Clock) -> None:
    g = factories.generation(tenant_id=tenant.id, created_at=clock())
    await runtime.stores.generations.create(g, factories.due(clock()))
    moves = runtime.transitions
    for move in (
        lambda g: g.submitting(clock()),
        lambda g: g.unconfirmed(),
        lambda g: g.failed(factories.failure(code="submission_unconfirmed"), 0, clock()),
    ):
        assert await moves.apply(g.id, move)
    adjusted = await runtime.operations.adjustments.of_generation(g.id, Correction(1_512_000, "jane", "x"), expected=0)

    assert await moves.revive(adjusted, "request-1", why="there after all")
    assert await spent(runtime, g) == [0] * 5
    assert (await runtime.operations.audit.run()).differences == []

    assert await moves.apply(g.id, lambda g: g.succeeded(factories.output(), COST, clock()))
    assert await spent(runtime, g) == [COST] * 5
    assert (await runtime.operations.audit.run()).differences == []


# --- by day, where the record is purged -------------------------------------------------------------------------------


@pytest.fixture
async def purged(runtime: Runtime, tenant: Tenant, clock: Clock, settings: Settings) -> Generation:
    g = await settled(runtime, tenant, clock)
    clock.advance(settings.retention * 2)
    await process_due(runtime, WorkQueue.SWEEP)
    assert await runtime.stores.generations.load(g.id) is None
    return g


async def test_adjust_of_day_changes_sums_once(
    runtime: Runtime, operator: httpx.AsyncClient, purged: Generation
) -> None:
    assert refusal(await adjust(operator, generation_id=purged.id)) == (404, "not_found")

    answer = await adjust(operator, **of_day(purged))

    assert answer.status_code == 200, answer.text
    assert (answer.json()["generation_id"], answer.json()["cost"]) == (None, "0.500000")
    assert await spent(runtime, purged) == [500_000] * 5
    (entry,) = await ledger(runtime)
    assert (entry["g"], entry["s"], entry["day"]) == ("", "-200000", day(purged.created_at))
    assert (await runtime.operations.audit.run()).differences == []
    before = await everything(runtime)
    again = await adjust(operator, **of_day(purged))
    assert refusal(again) == (409, "cost_changed")
    assert "0.500000" in again.json()["detail"]
    assert await everything(runtime) == before


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"tenant_id": "ten_" + "0" * 26}, (404, "not_found")),
        ({"tenant_id": "x:2026-01"}, (404, "not_found")),
        ({"end_user": "eu_" + "0" * 32}, (404, "not_found")),
        ({"day": "1999-12-31"}, (404, "not_found")),
        ({"expected_usd": "0.71"}, (409, "cost_changed")),
        ({"amount_usd": "-0.700001"}, (409, "spent_below_zero")),
    ],
)
async def test_adjust_of_day_refused_changes_nothing(
    runtime: Runtime,
    operator: httpx.AsyncClient,
    purged: Generation,
    changes: dict[str, str],
    refused: tuple[int, str],
) -> None:
    before = await everything(runtime)

    assert refusal(await adjust(operator, **{**of_day(purged), **changes})) == refused

    assert await everything(runtime) == before


@pytest.mark.parametrize("gone", [0, 1, 2])
async def test_adjust_of_expired_window_is_refused(
    runtime: Runtime, operator: httpx.AsyncClient, tenant: Tenant, clock: Clock, gone: int
) -> None:
    """Added to, it would come back without its other sums, and for good."""
    g = await settled(runtime, tenant, clock)
    on = day(g.created_at)
    windows = (
        keys.money_of_tenant(tenant.id, month(g.created_at)),
        keys.money_of_end_user(tenant.id, g.end_user, on),
        keys.money_of_account(on),
    )
    await runtime.redis.execute("DEL", windows[gone])
    before = await everything(runtime)
    for subject in ({"generation_id": g.id}, of_day(g)):
        assert refusal(await adjust(operator, **subject)) == (404, "not_found")
    assert await everything(runtime) == before


@pytest.mark.parametrize("low", ["tenant", "end_user", "account", "usage", "spending"])
async def test_adjust_never_makes_sum_negative(
    runtime: Runtime, operator: httpx.AsyncClient, tenant: Tenant, clock: Clock, low: str
) -> None:
    """Sums that differ are for the audit to report; an adjustment makes none of them negative."""
    g = await settled(runtime, tenant, clock)
    on = day(g.created_at)
    lower: dict[str, tuple[str | int, ...]] = {
        "tenant": ("HSET", keys.money_of_tenant(tenant.id, month(g.created_at)), "spent", 100_000),
        "end_user": ("HSET", keys.money_of_end_user(tenant.id, g.end_user, on), "spent", 100_000),
        "account": ("HSET", keys.money_of_account(on), "spent", 100_000),
        "usage": ("HSET", keys.usage(tenant.id, on), "spent", 100_000),
        "spending": ("ZADD", keys.usage_of_end_users(tenant.id, on), 100_000, g.end_user),
    }
    await runtime.redis.execute(*lower[low])
    before = await everything(runtime)

    assert refusal(await adjust(operator, generation_id=g.id)) == (409, "spent_below_zero")

    assert await everything(runtime) == before


async def test_adjust_of_expired_usage_sets_expiry(
    runtime: Runtime, operator: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    g = await settled(runtime, tenant, clock)
    usage = (keys.usage(tenant.id, day(g.created_at)), keys.usage_of_end_users(tenant.id, day(g.created_at)))
    await runtime.redis.execute("DEL", *usage)

    assert (await adjust(operator, generation_id=g.id, amount_usd="0.1")).status_code == 200

    for key in usage:
        assert 0 < await runtime.redis.execute("TTL", key) <= keys.MONEY_RETENTION_SECONDS


# --- budgets, and what is refused -------------------------------------------------------------------------------------


async def test_adjust_changes_remaining_budget(runtime: Runtime, clock: Clock) -> None:
    owner = await runtime.tenants.service.create("shop", Limits(monthly_budget=COST + HELD))
    g = await settled(runtime, owner, clock)
    await runtime.operations.adjustments.of_generation(g.id, Correction(1, "jane", "x"), expected=COST)
    with pytest.raises(OverBudget):
        await settled(runtime, owner, clock)

    await runtime.operations.adjustments.of_generation(g.id, Correction(-1, "jane", "x"), expected=COST + 1)
    await settled(runtime, owner, clock)

    assert (await runtime.operations.audit.run()).clean


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"generation_id": ...}, ""),
        ({"tenant_id": "ten_" + "0" * 26}, ""),
        ({"generation_id": ..., "tenant_id": "ten_" + "0" * 26, "day": "2026-01-31"}, ""),
        ({"amount_usd": "0"}, "/amount_usd"),
        ({"amount_usd": 0}, "/amount_usd"),
        ({"amount_usd": "-0.0000001"}, "/amount_usd"),
        ({"amount_usd": "--1"}, "/amount_usd"),
        ({"amount_usd": "1e3"}, "/amount_usd"),
        ({"amount_usd": "-1000001"}, "/amount_usd"),
        ({"amount_usd": True}, "/amount_usd"),
        ({"amount_usd": ...}, "/amount_usd"),
        ({"expected_usd": "-1"}, "/expected_usd"),
        ({"expected_usd": False}, "/expected_usd"),
        ({"expected_usd": ...}, "/expected_usd"),
        ({"operator": " "}, "/operator"),
        ({"operator": ...}, "/operator"),
        ({"reason": ""}, "/reason"),
        ({"reason": "x" * 501}, "/reason"),
        ({"end_user": "customer-7"}, "/end_user"),
        ({"day": "2026-02-30"}, "/day"),
        ({"day": 20_000}, "/day"),
        ({"cost": 1}, "/cost"),
    ],
)
async def test_adjust_invalid_field_returns_422(
    runtime: Runtime, operator: httpx.AsyncClient, tenant: Tenant, clock: Clock, changes: dict[str, Any], pointer: str
) -> None:
    g = await settled(runtime, tenant, clock)

    answer = await adjust(operator, **{"generation_id": g.id, **changes})

    assert refusal(answer) == (422, "invalid")
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert await ledger(runtime) == []


@pytest.mark.parametrize("generation_id", ["gen_" + "0" * 26, "", "gen_x", "*"])
async def test_adjust_unknown_generation_returns_404(operator: httpx.AsyncClient, generation_id: str) -> None:
    assert refusal(await adjust(operator, generation_id=generation_id)) == (404, "not_found")


async def test_adjust_requires_admin_token(api: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    for client in (api, anonymous):
        assert refusal(await adjust(client, generation_id="gen_" + "0" * 26)) == (401, "unauthenticated")
