"""Usage of all tenants: every grouping adds up to the ledger, deleted tenants stay, refused creates are counted."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, get_args

import httpx
import pytest
from fastapi import FastAPI

from service.domain.budgets import day
from service.domain.end_user import pseudonym
from service.domain.figures import NOTHING, Figures
from service.domain.tenant import Limits, Tenant
from service.errors import QueueFull
from service.runtime import Runtime
from service.store import keys
from service.store.money import refusals as refusal_store
from service.store.money import usage_rows
from service.store.redis.client import Redis
from service.usecases.generations import refusal_counts
from service.usecases.operations.budget_sampler import BudgetSampler
from service.usecases.operations.usage import By, Period, Row
from tests.conftest import Connect
from tests.support import factories
from tests.support.bookkeeper import Bookkeeper
from tests.support.factories import Clock, create_body

STEPS = 40
CSV = {"Accept": "text/csv"}


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 2, 27, 12, tzinfo=UTC), ahead=timedelta())


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    """The gateway's own."""
    found: Runtime = app.state.runtime
    return found


async def pages(runtime: Runtime, by: By, period: Period, **options: Any) -> tuple[list[Row], Figures]:
    """All rows, read in small pages, and the total, which every page has."""
    rows: list[Row] = []
    first: int | None = 0
    while first is not None:
        page = await runtime.operations.usage.read(by, period, first=first, limit=2, **options)
        rows, first = [*rows, *page.rows], page.after
    return rows, page.total


def added(rows: Sequence[Row]) -> Figures:
    return sum((row.figures for row in rows), NOTHING)


async def money_of_ledger(runtime: Runtime) -> Counter[tuple[str, str, str]]:
    """Spent and held of the ledger by tenant and day."""
    owners: dict[str, str] = {}
    sums = Counter[tuple[str, str, str]]()
    async for entry in runtime.stores.ledger.ledger():
        tenant_id = owners.setdefault(entry.generation_id, entry.tenant_id) or entry.tenant_id
        sums[tenant_id, day(entry.created_at), "spent"] += entry.spent
        sums[tenant_id, day(entry.created_at), "held"] += entry.held
    return sums


async def refuse(runtime: Runtime, tenant: Tenant, **changes: Any) -> None:
    with pytest.raises(QueueFull):
        await runtime.generations.creator.create(tenant, factories.create_request(**changes))


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_grouping_adds_up_to_the_ledger(runtime: Runtime, clock: Clock, seed: int) -> None:
    usage = runtime.operations.usage
    tenants = [await runtime.tenants.service.create(name) for name in ("acme", "shop")]
    full = await runtime.tenants.service.create("full", Limits(queued_generations=0))
    books = [Bookkeeper(runtime, tenant, clock, seed + number) for number, tenant in enumerate(tenants)]
    start = clock().date()
    for _ in range(STEPS):
        for each in books:
            await each.step()
        await refuse(runtime, full, end_user_id="anna")
        await refuse(runtime, full)
    await runtime.generations.refusals.flush()
    money = await money_of_ledger(runtime)
    days = [Period(start + timedelta(days=n), start + timedelta(days=n)) for n in (0, 1)]
    for period in (Period(start, clock().date()), usage.period(month="2026-02"), usage.period(month="2026-03"), *days):
        of_tenants = []
        for tenant in (*tenants, full):
            expected = {name: sum(money[tenant.id, date, name] for date in period.dates) for name in ("spent", "held")}
            for by in get_args(By):
                rows, total = await pages(runtime, by, period, tenant_id=tenant.id)
                assert added(rows) == total, (by, period)
                assert {"spent": total.spent, "held": total.held} == expected
            of_tenants.append(total)
        for by in ("tenant", "day", "model", "code"):
            rows, total = await pages(runtime, by, period)  # type: ignore[arg-type]
            assert added(rows) == total == sum(of_tenants, NOTHING), (by, period)
    assert total.created
    assert (await runtime.operations.audit.run()).clean


async def test_deleted_tenant_stays_in_its_months(
    runtime: Runtime, operator: httpx.AsyncClient, connect: Connect, clock: Clock
) -> None:
    tenant = await runtime.tenants.service.create('=cmd|"/c calc"!A1')
    await books_of(runtime, tenant, clock, 500_000, end_user_id="anna")
    await books_of(runtime, tenant, clock, 250_000)
    await runtime.tenants.service.delete(tenant.id, drain=True)
    clock.advance(timedelta(days=40))
    (row,) = (await operator.get("/admin/v1/usage", params={"month": "2026-02"})).json()["data"]
    assert (row["tenant_id"], row["tenant_name"], row["deleted_at"]) == (
        tenant.id,
        tenant.name,
        "2026-02-27T12:00:00.000Z",
    )
    assert (row["spent"], row["created"], row["outcomes"]) == ("0.750000", 2, {"succeeded": 2})
    query = {"month": "2026-02", "by": "end_user", "tenant_id": tenant.id}
    users = (await operator.get("/admin/v1/usage", params=query)).json()["data"]
    assert [(user["end_user_id"], user["end_user"], user["spent"]) for user in users] == [
        ("anna", "named", "0.500000"),
        (None, "none", "0.250000"),
    ]
    answer = await operator.get("/admin/v1/usage", params={"month": "2026-02"}, headers=CSV)
    head, shown, total = list(csv.reader(io.StringIO(answer.text)))
    assert head[:4] == ["tenant_id", "tenant_name", "deleted_at", "created"]
    assert shown[1] == f"'{tenant.name}"
    assert (total[0], total[-2:]) == ("total", ["0.750000", "0.000000"])
    assert (await operator.get("/admin/v1/usage")).json()["data"] == []


async def books_of(runtime: Runtime, tenant: Tenant, clock: Clock, cost: int, **changes: Any) -> str:
    """Create one generation, which succeeds at this cost."""
    g = (await runtime.generations.creator.create(tenant, factories.create_request(**changes))).generation
    for move in (
        lambda g: g.submitting(clock()),
        lambda g: g.submitted(factories.request_id()),
        lambda g: g.succeeded(factories.output(), cost, clock()),
    ):
        assert await runtime.transitions.apply(g.id, move) is not None
    return g.id


async def test_refused_creates_are_counted(
    runtime: Runtime, operator: httpx.AsyncClient, connect: Connect, tenant: Tenant, api: httpx.AsyncClient
) -> None:
    """Whatever refuses them: a limit, a budget, a block, the rate."""
    assert await runtime.stores.end_users.block(tenant.id, pseudonym(tenant, "bot-1"), factories.NOW)
    limits = {
        "queue_full": {"queued_generations": 0},
        "budget_exceeded": {"queued_generations": None, "monthly_budget_usd": 0.01},
        "end_user_limited": {"monthly_budget_usd": None, "end_user_daily_count": 0},
        "daily_limited": {"end_user_daily_count": None, "daily_generations": 0},
        "rate_limited": {"daily_generations": None, "requests_per_minute": 1},
    }
    refused = Counter[str]()
    for code, changes in limits.items():
        changed = await operator.patch(f"/admin/v1/tenants/{tenant.id}", json={"limits": changes})
        assert changed.status_code == 200, changed.text
        runtime.tenants.authenticator.forget()
        for _ in range(2):
            answer = await api.post("/v1/generations", json=create_body(end_user_id="bot-2"))
            if answer.status_code != 202:
                refused[answer.json()["code"]] += 1
        assert refused[code], answer.text
    assert (await api.post("/v1/generations", json={"prompt": 1})).status_code == 429  # the rate comes first
    refused["rate_limited"] += 1
    await operator.patch(f"/admin/v1/tenants/{tenant.id}", json={"limits": {"requests_per_minute": None}})
    runtime.tenants.authenticator.forget()
    assert (await api.post("/v1/generations", json=create_body(end_user_id="bot-1"))).status_code == 403
    refused["end_user_blocked"] += 1
    assert (await api.post("/v1/generations", json={"prompt": 1})).status_code == 422  # cannot be read: not counted

    await runtime.generations.refusals.flush()
    (row,) = (await operator.get("/admin/v1/usage")).json()["data"]
    assert (row["refusals"], row["refused"]) == (dict(refused), refused.total())
    codes = (await api.get("/v1/usage", params={"by": "code"})).json()["codes"]
    assert {code["code"]: code["refused"] for code in codes if code["code"]} == dict(refused)
    users = (await api.get("/v1/usage", params={"by": "end_user"})).json()["end_users"]
    found = {user["pseudonym"]: (user["end_user"], user["refusals"]) for user in users}
    assert found[pseudonym(tenant, "bot-1")] == ("unnamed", {"end_user_blocked": 1})
    of_user = {code: n for code, n in refused.items() if code not in ("end_user_blocked", "rate_limited")}
    assert found[pseudonym(tenant, "bot-2")] == ("named", of_user)


async def test_flood_of_refusals_is_bounded(
    runtime: Runtime, redis: Redis, tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many end users: the process and the day's hash have a limit, the sum of the tenant's day is exact."""
    monkeypatch.setattr(refusal_counts, "_MOST", 20)
    monkeypatch.setattr(refusal_store, "MOST_FIELDS", 10)
    counts = runtime.generations.refusals
    for number in range(100):
        counts.add(tenant.id, QueueFull("full"), f"eu_{number:032x}")
    assert len(counts._counts) <= 21
    await counts.flush()
    today = day(clock())
    assert await redis.execute("HGET", keys.usage(tenant.id, today), "refused:queue_full") == b"100"
    assert await redis.execute("HLEN", keys.refused_end_users(tenant.id, today)) == 10
    assert await redis.execute("ZCARD", keys.usage_of_end_users(tenant.id, today)) == 10
    for key in (keys.usage(tenant.id, today), keys.usage(keys.ACCOUNT, today), keys.tenants_of_month(today[:7])):
        assert await redis.execute("TTL", key) > 0


async def test_refusals_are_written_within_seconds(
    runtime: Runtime, redis: Redis, tenant: Tenant, clock: Clock
) -> None:
    from tests.support.waiting import until

    runtime.generations.refusals.add(tenant.id, QueueFull("full"))

    async def written() -> bool:
        return bool(await redis.execute("HGET", keys.usage(tenant.id, day(clock())), "refused:queue_full"))

    await until(written)


async def test_month_is_in_the_list_of_tenants(
    runtime: Runtime, operator: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    await books_of(runtime, tenant, clock, 500_000)
    months = {each["id"]: each["month"] for each in (await operator.get("/admin/v1/tenants")).json()["data"]}
    assert None not in months.values()
    assert months[tenant.id] == {"held": "0.000000", "spent": "0.500000", "over": False}


@pytest.mark.parametrize(
    ("query", "status", "pointer"),
    [
        ({"by": "end_user"}, 422, "/query/tenant_id"),
        ({"by": "key"}, 422, "/query/by"),
        ({"month": "2026-13"}, 422, "/query/month"),
        ({"month": "2026"}, 422, "/query/month"),
        ({"month": "2026-02", "start": "2026-02-01"}, 422, "/query/month"),
        ({"start": "2026-02-02", "end": "2026-02-01"}, 422, "/query/start"),
        ({"start": "2025-02-02"}, 422, "/query/end"),
        ({"limit": "1001"}, 422, "/query/limit"),
        ({"cursor": "???"}, 422, "/query/cursor"),
        ({"tenant_id": "ten_1"}, 404, None),
        ({"unknown": "1"}, 422, "/query/unknown"),
    ],
)
async def test_account_usage_bad_query(
    operator: httpx.AsyncClient, query: dict[str, str], status: int, pointer: str | None
) -> None:
    answer = await operator.get("/admin/v1/usage", params=query)
    assert answer.status_code == status, answer.text
    assert [fault["pointer"] for fault in answer.json().get("errors", [])] == ([] if pointer is None else [pointer])


async def test_csv_pages_have_one_total(runtime: Runtime, operator: httpx.AsyncClient, clock: Clock) -> None:
    for number in range(3):
        await books_of(runtime, await runtime.tenants.service.create(f"t{number}"), clock, 1_000 * number)
    path: str | None = "/admin/v1/usage?limit=2"
    rows = []
    while path is not None:
        answer = await operator.get(path, headers=CSV)
        assert answer.headers["content-type"].startswith("text/csv")
        rows += list(csv.reader(io.StringIO(answer.text)))[1:]
        path = answer.headers["link"].split(";")[0].strip("<>") if "link" in answer.headers else None
    assert [row[1] if row[0] != "total" else "total" for row in rows] == ["t2", "t1", "t0", "total"]


async def test_reads_of_end_users_by_role(
    app: FastAPI, runtime: Runtime, operator: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    """A viewer receives no names. A read of names is recorded."""
    await books_of(runtime, tenant, clock, 5, end_user_id="anna")
    query = {"by": "end_user", "tenant_id": tenant.id}
    (row,) = (await operator.get("/admin/v1/usage", params=query)).json()["data"]
    assert row["end_user_id"] == "anna"
    page = await runtime.operations.usage.read("end_user", runtime.operations.usage.period(), tenant_id=tenant.id)
    (shown,) = page.without_names().rows
    assert shown.end_user is not None
    assert (shown.end_user.spending.end_user_id, shown.end_user.kind) == (None, "named")


async def test_sums_of_tenants_read_few_hashes_a_script(runtime: Runtime, redis: Redis, clock: Clock) -> None:
    """A report over 40 tenants and 31 days needs several scripts, each with a limited number of hashes."""
    day_of_report = clock().date()
    for number in range(40):
        await redis.execute("ZADD", keys.tenants_of_month("2026-02"), number, f"ten_{number}")
    rows = await runtime.stores.usage_rows.sums([f"ten_{n}" for n in range(40)], ["2026-02-01"] * 31)
    assert len(rows) == 40
    assert usage_rows._SLICE <= 250
    page = await runtime.operations.usage.read("tenant", Period(day_of_report, day_of_report), limit=10)
    assert (page.rows, page.after) == ([], 10)


async def test_list_of_tenants_near_their_budget(
    runtime: Runtime, operator: httpx.AsyncClient, redis: Redis, clock: Clock
) -> None:
    made = {}
    for name, budget, cost in (("low", 100, 1), ("near", 10, 9), ("none", None, 9), ("zero", 0, 0), ("over", 8, 8)):
        limits = Limits(monthly_budget=None if budget is None else budget * 1_000_000)
        made[name] = tenant = await runtime.tenants.service.create(name)
        if cost:
            await books_of(runtime, tenant, clock, cost * 1_000_000)
        await runtime.tenants.service.update(tenant.id, partial(replace, limits=limits))
    sampler = BudgetSampler(runtime.stores.budget_shares, clock=clock)
    await sampler.sample()
    found = (await operator.get("/admin/v1/budgets")).json()["data"]
    assert [(use["tenant_name"], use["share"]) for use in found] == [
        ("over", 1.0),
        ("near", 0.9),
        ("low", 0.01),
        ("zero", 0.0),
    ]
    found = (await operator.get("/admin/v1/budgets", params={"least_share": 0.8, "limit": 1})).json()["data"]
    assert [use["tenant_name"] for use in found] == ["over"]
    await runtime.tenants.service.delete(made["over"].id, drain=True)
    await runtime.tenants.service.update(made["near"].id, lambda t: replace(t, limits=Limits()))
    await sampler.sample()
    assert [use.tenant.name for use in await runtime.operations.tenant_budgets.near(10)] == ["low", "zero"]
