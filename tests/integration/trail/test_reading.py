"""Reads of the audit trail: pages, filters, CSV, what a tenant sees, and the verification in Redis."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.domain.operator import Role
from service.runtime import Runtime
from service.store import keys
from service.store.trail.trail import TrailStore
from service.usecases.trail.recording import note_target
from tests.integration.trail.test_acts import operator_of
from tests.support import factories
from tests.support.trail import links

Connect = Callable[..., Any]


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


async def acts(runtime: Runtime, count: int, **changes: Any) -> None:
    for number in range(count):
        async with runtime.trail.act(factories.actor(**changes), f"act_{number % 3}"):
            note_target(f"t{number}")


async def test_trail_pages_have_all_entries_once(operator: httpx.AsyncClient, runtime: Runtime) -> None:
    await acts(runtime, 7)
    found, cursor = [], ""
    while True:
        page = (await operator.get(f"/admin/v1/trail?limit=3{cursor}")).json()
        found += [entry["number"] for entry in page["data"]]
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("action=act_1", ["t4", "t1"]),
        ("target=t3", ["t3"]),
        ("actor=Ada", ["t5", "t4", "t3", "t2", "t1", "t0"]),
        ("actor=opr_1&action=act_0", ["t3", "t0"]),
        ("actor=Bob", []),
        ("outcome=refused", []),
        ("after=2000-01-01T00:00:00Z&limit=1", ["t5"]),
        ("before=2000-01-01T00:00:00Z", []),
        ("after=2200-01-01T00:00:00Z", []),
        ("tenant_id=ten_1", []),
    ],
)
async def test_trail_filters(operator: httpx.AsyncClient, runtime: Runtime, query: str, expected: list[str]) -> None:
    await acts(runtime, 6)
    page = await operator.get(f"/admin/v1/trail?{query}")
    assert [entry["target"] for entry in page.json()["data"]] == expected


@pytest.mark.parametrize(
    "query", ["cursor=x", "cursor=MQ", "limit=501", "after=now", "outcome=good", "tenant_id=t&cursor=MS0x"]
)
async def test_trail_wrong_query_is_422(operator: httpx.AsyncClient, query: str) -> None:
    assert (await operator.get(f"/admin/v1/trail?{query}")).status_code == 422


async def test_trail_page_examines_500_entries(runtime: Runtime, operator: httpx.AsyncClient) -> None:
    await acts(runtime, 510)
    page = (await operator.get("/admin/v1/trail?target=t0")).json()
    assert (page["data"], page["has_more"]) == ([], True)
    rest = (await operator.get(f"/admin/v1/trail?target=t0&cursor={page['next_cursor']}")).json()
    assert ([entry["number"] for entry in rest["data"]], rest["has_more"]) == ([1], False)


async def test_trail_csv_has_no_formula(operator: httpx.AsyncClient, runtime: Runtime) -> None:
    await acts(runtime, 1, name="=HYPERLINK(1)")
    answer = await operator.get("/admin/v1/trail", headers={"accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert "'=HYPERLINK(1)" in answer.text
    assert ",=HYPERLINK" not in answer.text


async def test_tenant_reads_acts_about_itself_only(app: FastAPI, connect: Connect, runtime: Runtime) -> None:
    api = await connect()
    await api.post("/v1/webhook-endpoints", json={"url": "http://127.0.0.1:9000/hook"})
    tenant_id = (await api.get("/v1/me")).json()["tenant"]["id"]
    other = await runtime.tenants.service.create("other")
    async with operator_of(app, Role.ADMIN) as ada:
        await ada.patch(f"/admin/v1/tenants/{tenant_id}", json={"limits": {"weight": 2}})
        await ada.patch(f"/admin/v1/tenants/{other.id}", json={"limits": {"weight": 2}})

    data = (await api.get("/v1/trail")).json()["data"]
    assert [entry["action"] for entry in data] == ["change_tenant", "create_webhook_endpoint"]
    act, own = data
    assert (act["actor"]["name"], act["changes"]) == ("Ada", {"limits.weight": [1, 2]})
    assert [act["actor"]["address"], act["actor"]["token_id"], act["request_id"]] == [None] * 3
    assert own["request_id"] is not None
    assert {entry["tenant_id"] for entry in data} == {tenant_id}


async def test_tenant_trail_needs_manage(connect: Connect) -> None:
    from service.domain.tenant import Scope

    api = await connect(scopes=(Scope.READ,))
    assert (await api.get("/v1/trail")).status_code == 403
    assert (await api.post("/v1/webhook-endpoints", json={"url": "http://127.0.0.1:9000/hook"})).status_code == 403


@pytest.mark.parametrize("damage", ["remove", "change", "insert", "head"])
async def test_verification_finds_damage_in_redis(runtime: Runtime, damage: str) -> None:
    await acts(runtime, 6)
    assert (await runtime.chain.run()).break_count == 0
    await runtime.chain.verify_next()
    assert await runtime.stores.trail_checks.breaks() == 0

    third = (await links(runtime))[2]
    redis = runtime.redis
    if damage in ("remove", "change"):
        await redis.execute("XDEL", keys.TRAIL, third.position)
    if damage == "insert":
        await redis.execute("XADD", keys.TRAIL, "*", "x", "y")
    if damage == "head":
        await redis.execute("HSET", keys.TRAIL_HEAD, "n", 7)

    report = await runtime.chain.run()
    assert report.break_count > 0
    await runtime.chain.verify_next()
    assert await runtime.stores.trail_checks.breaks() == report.break_count
    runtime.operations.account_metrics.forget()
    assert (
        f"gateway_trail_breaks {float(report.break_count)}"
        in (await runtime.operations.account_metrics.text()).decode()
    )


async def test_retention_trims_and_counts_what_it_removes(runtime: Runtime) -> None:
    short = TrailStore(runtime.redis, retention=timedelta(milliseconds=1))
    for number in range(250):
        assert await short.append(f"act_{number}", factories.trail_entry(), once=False) is not None

    report = await runtime.chain.run()
    assert report.trimmed > 0
    assert (report.entries + report.trimmed, report.break_count) == (250, 0)


async def test_entry_is_appended_once_for_each_act(runtime: Runtime) -> None:
    act = await runtime.trail.begin(factories.actor(), "pause_dispatch")
    store, entry = runtime.stores.trail, factories.trail_entry()
    assert [await store.append(act.id, entry) is None for _ in range(3)] == [False, True, True]
    assert len(await links(runtime)) == 1
