"""The tenants of operators: create, read, change, suspend, delete; every field is checked, no change is lost."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.domain.tenant import Tenant
from service.runtime import Runtime
from tests.conftest import Connect
from tests.support import factories
from tests.support.factories import Clock, create_body

TENANTS = "/admin/v1/tenants"
NO_LIMITS = {
    "requests_per_minute": None,
    "burst": None,
    "queued_generations": None,
    "concurrent_generations": None,
    "weight": 1,
    "models": None,
    "references": None,
    "resolutions": None,
    "durations": None,
    "monthly_budget_usd": None,
    "end_user_daily_budget_usd": None,
    "end_user_daily_count": None,
    "retention_seconds": None,
    "webhook_url": None,
    "daily_generations": None,
    "daily_new_end_users": None,
    "stored_deliveries": None,
    "undelivered_tests": None,
    "webhook_endpoints": None,
}
#: Of a new tenant, by the defaults of the settings.
NEW_LIMITS = {
    **NO_LIMITS,
    "queued_generations": 1_000,
    "daily_generations": 10_000,
    "daily_new_end_users": 1_000,
    "stored_deliveries": 100_000,
    "undelivered_tests": 20,
    "webhook_endpoints": 20,
}
ALL_LIMITS = {
    "requests_per_minute": 600,
    "burst": 20,
    "queued_generations": 100,
    "concurrent_generations": 5,
    "weight": 3,
    "references": 3,
    "models": ["bytedance/seedance-2.0/image-to-video", "bytedance/seedance-2.0/text-to-video"],
    "resolutions": ["480p"],
    "durations": ["4", "5", "auto"],
    "monthly_budget_usd": "1000000.000000",
    "end_user_daily_budget_usd": "12.340000",
    "end_user_daily_count": 9,
    "retention_seconds": 86400,
    "webhook_url": "http://127.0.0.1:9000/hook",
    "daily_generations": 500,
    "daily_new_end_users": 0,
    "stored_deliveries": 5_000,
    "undelivered_tests": 5,
    "webhook_endpoints": 3,
}


@pytest.fixture
def path(tenant: Tenant) -> str:
    return f"{TENANTS}/{tenant.id}"


async def patched(operator: httpx.AsyncClient, path: str, **change: Any) -> dict[str, Any]:
    answer = await operator.patch(path, json=change)
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


# --- create, show, list -----------------------------------------------------------------------------------------------


async def test_tenant_view_after_create(operator: httpx.AsyncClient) -> None:
    created = await operator.post(
        TENANTS, json={"name": " shop ", "require_end_user": True, "limits": {"monthly_budget_usd": 12.5}}
    )
    assert created.status_code == 201, created.text
    assert created.json()["webhook_secret"].startswith("whsec_")
    shown = await operator.get(f"{TENANTS}/{created.json()['id']}")
    assert shown.json() == {
        **created.json(),
        "name": "shop",
        "webhook_secret": None,
        "limits": {**NEW_LIMITS, "monthly_budget_usd": "12.500000"},
        "month": {"held": "0.000000", "spent": "0.000000", "over": False},
    }
    assert shown.headers["etag"] == created.headers["etag"] == '"1"'


async def test_list_tenants_over_pages(app: FastAPI, operator: httpx.AsyncClient) -> None:
    made = [(await app.state.runtime.tenants.service.create(f"tenant {n}")).id for n in range(5)]
    found, query = [], {"limit": "2"}
    for more in (True, True, False):
        page = (await operator.get(TENANTS, params=query)).json()
        assert page["has_more"] is more
        assert all(tenant["webhook_secret"] is None for tenant in page["data"])
        found += [tenant["id"] for tenant in page["data"]]
        query["cursor"] = page["next_cursor"]
    assert found == sorted(made)
    assert query["cursor"] is None


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "1001"}, {"cursor": "x"}, {"cursor": "Z2VuXzE"}])
async def test_list_tenants_invalid_query_returns_422(operator: httpx.AsyncClient, query: dict[str, str]) -> None:
    answer = await operator.get(TENANTS, params=query)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [f"/query/{next(iter(query))}"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "  "}, "/name"),
        ({"name": "x" * 101}, "/name"),
        ({"name": 7}, "/name"),
        ({"name": "a", "require_end_user": 1}, "/require_end_user"),
        ({"name": "a", "limits": []}, "/limits"),
        ({"name": "a", "suspended": True}, "/suspended"),
        ({"name": "a", "webhook_secret": "mine"}, "/webhook_secret"),
        ({"name": "a", "id": "ten_1"}, "/id"),
        ({"name": "a", "limits": {"budget": 5}}, "/limits/budget"),
        ([], ""),
    ],
)
async def test_tenant_invalid_field_returns_422(operator: httpx.AsyncClient, body: Any, pointer: str) -> None:
    answer = await operator.post(TENANTS, json=body)
    assert answer.status_code == 422, answer.text
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
    assert (await operator.get(TENANTS)).json()["data"] == []


@pytest.mark.parametrize("name", ["ten_0", "x", "ten_" + "0" * 26, "ten_" + "0" * 26 + ":keys", "%2A"])
@pytest.mark.parametrize(
    ("method", "rest", "body"),
    [
        ("GET", "", None),
        ("PATCH", "", {}),
        ("DELETE", "", None),
        ("POST", "/suspend", None),
        ("POST", "/resume", None),
        ("POST", "/unsuspend", {"reason": "paid"}),
        ("POST", "/unpause", {"reason": "paid"}),
        ("GET", "/keys", None),
        ("POST", "/keys", {}),
        ("GET", "/end-users/eu_1", None),
    ],
)
async def test_tenant_unknown_returns_404(
    operator: httpx.AsyncClient, name: str, method: str, rest: str, body: dict[str, Any] | None
) -> None:
    answer = await operator.request(method, f"{TENANTS}/{name}{rest}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


# --- limits -----------------------------------------------------------------------------------------------------------


async def test_limits_are_set_and_removed(operator: httpx.AsyncClient, path: str) -> None:
    given = await patched(operator, path, limits=ALL_LIMITS)
    assert given["limits"] == ALL_LIMITS
    renamed = await patched(operator, path, name="other", require_end_user=True)
    assert (renamed["name"], renamed["require_end_user"], renamed["limits"]) == ("other", True, ALL_LIMITS)
    updated = await patched(operator, path, limits={"burst": 7})
    assert updated["limits"] == {**ALL_LIMITS, "burst": 7}
    lifted = await patched(operator, path, limits={**dict.fromkeys(ALL_LIMITS), "weight": 1})
    assert lifted["limits"] == NO_LIMITS
    assert (lifted["name"], lifted["version"]) == ("other", 5)


_NO_COUNT: tuple[Any, ...] = (-1, 1.5, "5", True, 10**12, [], {})
_NO_MONEY: tuple[Any, ...] = (0, -1, "0", "-0.5", "x", "", "NaN", "Infinity", 1_000_001, "1000000.01", True, [], {})
BAD: dict[str, tuple[Any, ...]] = {
    "requests_per_minute": (*_NO_COUNT, 0),
    "burst": (*_NO_COUNT, 0),
    "queued_generations": _NO_COUNT,
    "daily_generations": _NO_COUNT,
    "daily_new_end_users": _NO_COUNT,
    "stored_deliveries": _NO_COUNT,
    "undelivered_tests": _NO_COUNT,
    "webhook_endpoints": (*_NO_COUNT, 21),
    "concurrent_generations": (*_NO_COUNT, 0),
    "weight": (*_NO_COUNT, 0, 1001, None),
    "monthly_budget_usd": _NO_MONEY,
    "end_user_daily_budget_usd": _NO_MONEY,
    "end_user_daily_count": _NO_COUNT,
    "retention_seconds": (*_NO_COUNT, 59),
    "references": _NO_COUNT,
    "models": ([], "x/y/z", {}, 7),
    "resolutions": ([], "480p", {}, 7),
    "durations": ([], "4", {}, 7),
    "webhook_url": (
        "",
        "x",
        "ftp://a.example",
        "http://10.0.0.1/hook",
        "https://a b.example",
        7,
        "https://u:p@a.example",
    ),
}
BAD_MEMBERS: dict[str, tuple[Any, ...]] = {
    "models": ("", "bytedance", "../x/y", 7, None),
    "resolutions": ("8k", 480, None),
    "durations": ("3", "16", 3, None),
}


def test_limits_table_is_complete() -> None:
    assert set(BAD) == set(NO_LIMITS)


@pytest.mark.parametrize("name", BAD)
async def test_limit_invalid_value_returns_422(operator: httpx.AsyncClient, path: str, name: str) -> None:
    wrong = [(value, f"/limits/{name}") for value in BAD[name]]
    wrong += [([value], f"/limits/{name}/0") for value in BAD_MEMBERS.get(name, ())]
    for value, pointer in wrong:
        answer = await operator.patch(path, json={"limits": {name: value}})
        assert answer.status_code == 422, (value, answer.text)
        assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer], value
    assert (await operator.get(path)).json()["limits"] == NEW_LIMITS


async def test_tenant_update_reports_all_errors(operator: httpx.AsyncClient, path: str) -> None:
    answer = await operator.patch(path, json={"name": "", "limits": {"burst": 0, "weight": 0, "x": 1}})
    assert {fault["pointer"] for fault in answer.json()["errors"]} == {
        "/name",
        "/limits/burst",
        "/limits/weight",
        "/limits/x",
    }


async def test_budget_below_held_amount_is_accepted(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, path: str
) -> None:
    held = (await api.post("/v1/generations", json=create_body(duration=5))).json()["cost"]["estimated"]
    exact = await patched(operator, path, limits={"monthly_budget_usd": held})
    assert exact["month"] == {"held": held, "spent": "0.000000", "over": False}
    below = await patched(operator, path, limits={"monthly_budget_usd": "1"})
    assert below["month"] == (await operator.get(path)).json()["month"] == {**exact["month"], "over": True}


# --- two admins -------------------------------------------------------------------------------------------------------


async def test_tenant_update_stale_etag_returns_412(operator: httpx.AsyncClient, path: str) -> None:
    tag = {"If-Match": (await operator.get(path)).headers["etag"]}
    first = await operator.patch(path, json={"name": "first"}, headers=tag)
    second = await operator.patch(path, json={"name": "second"}, headers=tag)
    assert (first.status_code, second.status_code) == (200, 412)
    assert second.json()["code"] == "precondition_failed"
    assert first.headers["etag"] == '"2"'
    again = await operator.patch(path, json={"name": "second"}, headers={"If-Match": first.headers["etag"]})
    assert (again.status_code, again.json()["name"], again.json()["version"]) == (200, "second", 3)


async def test_tenant_concurrent_updates_with_etag_one_wins(operator: httpx.AsyncClient, path: str) -> None:
    answers = await asyncio.gather(
        *(operator.patch(path, json={"name": f"n{n}"}, headers={"If-Match": '"1"'}) for n in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9


async def test_tenant_concurrent_updates_without_etag_merge(operator: httpx.AsyncClient, path: str) -> None:
    names = ("burst", "weight", "queued_generations", "concurrent_generations", "requests_per_minute")
    await asyncio.gather(*(patched(operator, path, limits={name: 9}) for name in names))
    limits = (await operator.get(path)).json()["limits"]
    assert [limits[name] for name in names] == [9] * 5


async def test_tenant_update_if_match_star(operator: httpx.AsyncClient, path: str) -> None:
    assert (await operator.patch(path, json={}, headers={"If-Match": "*"})).status_code == 200


@pytest.mark.parametrize("tag", ["", "x", "1, 2", '"1', "-1", "9" * 5000])
async def test_tenant_update_malformed_etag_is_refused(operator: httpx.AsyncClient, path: str, tag: str) -> None:
    answer = await operator.patch(path, json={"name": "x"}, headers={"If-Match": tag})
    assert answer.status_code == 422, answer.text
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/header/If-Match"]


# --- suspend, delete --------------------------------------------------------------------------------------------------


async def test_suspended_tenant_keys_are_refused_until_resume(
    app: FastAPI, api: httpx.AsyncClient, operator: httpx.AsyncClient, path: str
) -> None:
    queued = (await api.post("/v1/generations", json=create_body())).json()
    for verb, suspended, status in (("suspend", True, 403), ("resume", False, 200)):
        answer = await operator.post(f"{path}/{verb}")
        app.state.runtime.tenants.authenticator.forget()
        assert (answer.status_code, answer.json()["suspended"]) == (200, suspended)
        assert (await api.get(f"/v1/generations/{queued['id']}")).status_code == status


async def _submitted(runtime: Runtime, generation_id: str) -> None:
    for verb in (lambda g: g.submitting(factories.NOW), lambda g: g.submitted("request-1")):
        await runtime.transitions.apply(generation_id, verb)


async def test_tenant_delete_with_work_in_flight_returns_409(
    runtime: Runtime,
    clock: Clock,
    api: httpx.AsyncClient,
    other_api: httpx.AsyncClient,
    operator: httpx.AsyncClient,
    path: str,
) -> None:
    ids = [(await client.post("/v1/generations", json=create_body())).json()["id"] for client in (api, api, other_api)]
    for name in ids[1:]:
        await _submitted(runtime, name)
    claim = await runtime.stores.queue.claim(now=clock(), most=9, lease=timedelta(minutes=1), slots=9)
    assert [item.id for item in claim.taken] == ids[:1], "queued with its slot, and counted once"
    answer = await operator.delete(path)
    assert (answer.status_code, answer.json()["code"]) == (409, "tenant_busy")
    assert answer.json()["in_flight"] == 2, "one queued, one at fal; another tenant's does not count"
    assert (await operator.get(path)).json()["suspended"] is False


async def test_tenant_delete_with_drain_succeeds_after_work(
    app: FastAPI, runtime: Runtime, api: httpx.AsyncClient, operator: httpx.AsyncClient, path: str
) -> None:
    name = (await api.post("/v1/generations", json=create_body())).json()["id"]
    await _submitted(runtime, name)
    busy = await operator.delete(path, params={"drain": "true"})
    app.state.runtime.tenants.authenticator.forget()
    assert (busy.status_code, busy.json()["in_flight"]) == (409, 1)
    assert (await operator.get(path)).json()["suspended"] is True
    assert (await api.post("/v1/generations", json=create_body())).status_code == 403
    await runtime.transitions.apply(name, lambda g: g.succeeded(factories.output(), 1, factories.NOW))
    assert (await operator.delete(path, params={"drain": "true"})).status_code == 204
    app.state.runtime.tenants.authenticator.forget()
    assert (await operator.get(path)).status_code == 404
    assert (await api.get("/v1/usage")).status_code == 401
    assert (await operator.get(TENANTS)).json()["data"] == []


async def test_tenant_delete_removes_all_keys(
    runtime: Runtime, connect: Connect, tenant: Tenant, operator: httpx.AsyncClient, path: str
) -> None:
    for client in [await connect(tenant) for _ in range(2)]:
        await client.get("/v1/usage")
    assert (await operator.delete(path)).status_code == 204
    assert await runtime.redis.execute("KEYS", "*api_key*") == []
