"""Generations of all tenants for operators: search, details, cancel; and the same filters for a tenant."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
import redis as redis_py
from fastapi import FastAPI

from service.domain.end_user import pseudonym
from service.domain.failure import Failure
from service.domain.generation_filter import Filter
from service.domain.generation_view import rfc3339
from service.domain.status import PublicStatus
from service.domain.tenant import Tenant
from service.runtime import Runtime
from service.store.paging import ENTRIES_READ
from tests.support import factories
from tests.support.factories import Clock, create_body
from tests.support.webhooks import deliveries, endpoint

ADMIN = "/admin/v1/generations"
PROMPT = "A secret garden."


@pytest.fixture
async def runtime(app: FastAPI) -> Runtime:
    """Return the runtime of the gateway, with complete indexes as after the first minute of a deployment."""
    found: Runtime = app.state.runtime
    await found.stores.indexing.note(None)
    return found


async def created(api: httpx.AsyncClient, clock: Clock, **body: Any) -> str:
    clock.advance(timedelta(milliseconds=1))
    answer = await api.post("/v1/generations", json=create_body(prompt=PROMPT, **body))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def submitted(runtime: Runtime, generation_id: str) -> str:
    """Submit a generation; return fal's request id."""
    request_id, now = factories.request_id(), runtime.clock()
    await runtime.transitions.apply(generation_id, lambda g: g.submitting(now))
    await runtime.transitions.apply(generation_id, lambda g: g.submitted(request_id))
    return request_id


async def failed(runtime: Runtime, generation_id: str, code: Any) -> None:
    await submitted(runtime, generation_id)
    failure = Failure(code, "no")
    await runtime.transitions.apply(generation_id, lambda g: g.failed(failure, 5, runtime.clock()), verdict=True)


async def listed(client: httpx.AsyncClient, path: str = ADMIN, **wanted: Any) -> list[str]:
    """Return the ids of all pages."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        answer = await client.get(path, params={**wanted, **({} if cursor is None else {"cursor": cursor})})
        assert answer.status_code == 200, answer.text
        found += [item["id"] for item in answer.json()["data"]]
        if (cursor := answer.json()["next_cursor"]) is None:
            return found


async def test_search_reads_all_tenants_newest_first(
    runtime: Runtime, api: httpx.AsyncClient, other_api: httpx.AsyncClient, operator: httpx.AsyncClient, clock: Clock
) -> None:
    made = [await created(client, clock) for client in (api, other_api, api, other_api, api)]
    assert await listed(operator, limit=2) == made[::-1]


async def test_search_by_each_condition(
    runtime: Runtime,
    tenant: Tenant,
    api: httpx.AsyncClient,
    other_api: httpx.AsyncClient,
    operator: httpx.AsyncClient,
    clock: Clock,
) -> None:
    first = await created(api, clock, end_user_id="anna", metadata={"order": "7", "shop": "a b&c"})
    second = await created(api, clock, end_user_id="bert", metadata={"order": "7"})
    third = await created(other_api, clock, metadata={"order": "7"})
    fourth = await created(other_api, clock)
    request_id = await submitted(runtime, second)
    await failed(runtime, third, "content_policy")
    await runtime.transitions.apply(fourth, lambda g: g.canceled(0, clock()))
    g = await runtime.stores.generations.load(second)
    assert g is not None
    table: list[tuple[dict[str, Any], list[str]]] = [
        ({"tenant_id": tenant.id}, [second, first]),
        ({"tenant_id": "ten_unknown"}, []),
        ({"status": "queued"}, [first]),
        ({"status": "submitted"}, [second]),
        ({"status": "in_progress"}, []),
        ({"status": "failed"}, [third]),
        ({"status": "canceled"}, [fourth]),
        ({"status": "succeeded"}, []),
        ({"error_code": "content_policy"}, [third]),
        ({"error_code": "content_policy", "status": "queued"}, []),
        ({"error_code": "expired"}, []),
        ({"model": g.model}, [fourth, third, second, first]),
        ({"model": "other"}, []),
        ({"fal_request_id": request_id}, [second]),
        ({"fal_request_id": "unknown"}, []),
        ({"created_after": rfc3339(g.created_at)}, [fourth, third]),
        ({"created_before": rfc3339(g.created_at)}, [first]),
        ({"tenant_id": tenant.id, "end_user_id": "anna"}, [first]),
        ({"tenant_id": tenant.id, "end_user": pseudonym(tenant, "bert")}, [second]),
        ({"tenant_id": tenant.id, "metadata[order]": "7"}, [second, first]),
        ({"tenant_id": tenant.id, "metadata[order]": "7", "metadata[shop]": "a b&c"}, [first]),
        ({"tenant_id": tenant.id, "metadata[order]": "8"}, []),
        ({"tenant_id": tenant.id, "status": "submitted", "fal_request_id": request_id}, [second]),
    ]
    for wanted, expected in table:
        assert await listed(operator, **wanted) == expected, wanted


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("end_user_id=anna", "/query/tenant_id"),
        ("end_user=eu_1", "/query/tenant_id"),
        ("metadata[order]=7", "/query/tenant_id"),
        ("tenant_id=ten_unknown&end_user_id=anna", "/query/tenant_id"),
        ("tenant_id=ten_1&end_user_id=a&end_user=b", "/query/end_user"),
        ("metadata[order]=7&metadata[order]=8&tenant_id=ten_1", "/query/metadata[order]"),
        ("metadata[]=7&tenant_id=ten_1", "/query/metadata[]"),
        ("metadata=7&tenant_id=ten_1", "/query/metadata"),
        ("metadata[a=7&tenant_id=ten_1", "/query/metadata[a"),
        ("meta[order]=7", "/query/meta[order]"),
        (f"metadata[{'x' * 65}]=7&tenant_id=ten_1", "/query/metadata"),
        (f"metadata[x]={'7' * 513}&tenant_id=ten_1", "/query/metadata"),
        ("&".join(f"metadata[{n}]=7" for n in range(17)) + "&tenant_id=ten_1", "/query/metadata"),
        ("status=done", "/query/status"),
        ("error_code=bad", "/query/error_code"),
        ("fal_request_id=a/b", "/query/fal_request_id"),
        ("limit=0", "/query/limit"),
        ("limit=101", "/query/limit"),
        ("cursor=x", "/query/cursor"),
        ("created_after=yesterday", "/query/created_after"),
        ("prompt=boat", "/query/prompt"),
    ],
)
async def test_search_bad_query_is_refused(
    runtime: Runtime, operator: httpx.AsyncClient, query: str, pointer: str
) -> None:
    answer = await operator.get(f"{ADMIN}?{query}")
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_search_row_has_no_data_of_a_person(
    runtime: Runtime, tenant: Tenant, api: httpx.AsyncClient, operator: httpx.AsyncClient, clock: Clock
) -> None:
    name = await created(api, clock, end_user_id="anna@example.com", metadata={"order": "4711"})
    answer = await operator.get(ADMIN)
    (row,) = answer.json()["data"]
    assert (row["id"], row["tenant_id"], row["tenant_name"]) == (name, tenant.id, tenant.name)
    assert row["end_user"] == pseudonym(tenant, "anna@example.com")
    assert (row["status"], row["settled"], row["attempts"]) == ("queued", None, 0)
    assert float(row["held"]) > 0
    for text in (PROMPT, "anna@example.com", "4711"):
        assert text not in answer.text


async def test_search_finds_generations_of_deleted_tenants(
    runtime: Runtime, tenant: Tenant, api: httpx.AsyncClient, operator: httpx.AsyncClient, clock: Clock
) -> None:
    name = await created(api, clock)
    await api.post(f"/v1/generations/{name}/cancel")
    assert (await operator.delete(f"/admin/v1/tenants/{tenant.id}")).status_code == 204
    (row,) = (await operator.get(ADMIN, params={"status": "canceled"})).json()["data"]
    assert (row["id"], row["tenant_id"], row["tenant_name"]) == (name, tenant.id, None)


# --- details ----------------------------------------------------------------------------------------------------------


async def test_details_have_timeline_money_and_deliveries(
    runtime: Runtime, tenant: Tenant, api: httpx.AsyncClient, operator: httpx.AsyncClient, clock: Clock
) -> None:
    await endpoint(api, "http://127.0.0.1:65533/hook")
    name, other = await created(api, clock, end_user_id="anna"), await created(api, clock)
    clock.advance(timedelta(seconds=1))
    await submitted(runtime, name)
    clock.advance(timedelta(seconds=1))
    await runtime.transitions.apply(name, lambda g: g.started(clock()))
    clock.advance(timedelta(seconds=1))
    await runtime.transitions.apply(name, lambda g: g.succeeded(factories.output(), 300_000, clock()), verdict=True)
    view = (await operator.get(f"{ADMIN}/{name}")).json()
    assert (view["input"]["prompt"], view["end_user_id"]) == (PROMPT, "anna")
    assert (view["tenant_name"], view["end_user"]) == (tenant.name, pseudonym(tenant, "anna"))
    assert [moment["event"] for moment in view["timeline"]] == ["created", "submit_began", "started", "succeeded"]
    assert sorted(moment["at"] for moment in view["timeline"]) == [moment["at"] for moment in view["timeline"]]
    hold, settlement = view["ledger"]
    assert (hold["kind"], settlement["kind"]) == ("hold", "settle")
    assert float(hold["held"]) == -float(settlement["held"]) == float(view["cost"]["estimated"])
    assert (settlement["spent"], view["held"]) == (view["cost"]["actual"], "0.000000")
    (delivery,) = view["deliveries"]
    assert (delivery["event"], delivery["status"], delivery["attempt_count"]) == ("generation.succeeded", "pending", 0)
    assert [each["id"] for each in await deliveries(api)] == [delivery["id"]]
    queued = (await operator.get(f"{ADMIN}/{other}")).json()
    assert [line["kind"] for line in queued["ledger"]] == ["hold"]
    assert (queued["held"], queued["deliveries"]) == (queued["cost"]["estimated"], [])


@pytest.mark.parametrize("name", ["gen_unknown", "gen_" + "0" * 26])
async def test_details_unknown_is_404(runtime: Runtime, operator: httpx.AsyncClient, name: str) -> None:
    assert (await operator.get(f"{ADMIN}/{name}")).status_code == 404
    assert (await operator.post(f"{ADMIN}/{name}/cancel", json={"reason": "x"})).status_code == 404


# --- cancel -----------------------------------------------------------------------------------------------------------


async def test_cancel_of_a_suspended_tenant_sends_its_webhook(
    runtime: Runtime, tenant: Tenant, api: httpx.AsyncClient, operator: httpx.AsyncClient, clock: Clock
) -> None:
    await endpoint(api, "http://127.0.0.1:65533/hook")
    name = await created(api, clock)
    suspended = await runtime.tenants.service.suspend(tenant.id, "loop")
    assert suspended.suspended
    answer = await operator.post(f"{ADMIN}/{name}/cancel", json={"reason": "a loop"})
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    assert answer.json()["cost"]["actual"] == "0.000000"
    g = await runtime.stores.generations.load(name)
    assert g is not None
    assert len(g.deliveries) == 1
    again = await operator.post(f"{ADMIN}/{name}/cancel", json={"reason": "a loop"})
    assert (again.status_code, again.json()["code"]) == (409, "not_cancellable")


async def test_cancel_after_submit_is_requested_from_fal(
    runtime: Runtime, api: httpx.AsyncClient, operator: httpx.AsyncClient, clock: Clock
) -> None:
    name = await created(api, clock)
    await submitted(runtime, name)
    for _ in range(2):
        answer = await operator.post(f"{ADMIN}/{name}/cancel", json={"reason": "a loop"})
        assert (answer.status_code, answer.json()["status"]) == (202, "submitted")
        assert answer.json()["cancel_requested_at"] is not None


@pytest.mark.parametrize(
    "body", [{}, {"reason": " "}, {"reason": "x" * 501}, {"reason": "x", "more": 1}, {"reason": 1}]
)
async def test_cancel_bad_body_changes_nothing(
    runtime: Runtime, api: httpx.AsyncClient, operator: httpx.AsyncClient, clock: Clock, body: dict[str, Any]
) -> None:
    name = await created(api, clock)
    assert (await operator.post(f"{ADMIN}/{name}/cancel", json=body)).status_code == 422
    assert (await api.get(f"/v1/generations/{name}")).json()["status"] == "queued"


async def test_cancel_and_search_need_the_operator(
    runtime: Runtime, api: httpx.AsyncClient, anonymous: httpx.AsyncClient, clock: Clock
) -> None:
    name = await created(api, clock)
    for client in (api, anonymous):
        assert (await client.get(ADMIN)).status_code == 401
        assert (await client.get(f"{ADMIN}/{name}")).status_code == 401
        assert (await client.post(f"{ADMIN}/{name}/cancel", json={"reason": "x"})).status_code == 401
    assert (await api.get(f"/v1/generations/{name}")).json()["status"] == "queued"


# --- the filters of a tenant ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("indexed", [True, False])
async def test_tenant_filters_find_its_own_only(
    app: FastAPI, api: httpx.AsyncClient, other_api: httpx.AsyncClient, clock: Clock, indexed: bool
) -> None:
    runtime: Runtime = app.state.runtime
    mine = [await created(api, clock, metadata={"order": str(n), "shop": "a"}) for n in range(3)]
    other = await created(other_api, clock, metadata={"order": "0", "shop": "a"})
    request_id, of_other = await submitted(runtime, mine[1]), await submitted(runtime, other)
    await failed(runtime, mine[2], "invalid_input")
    if indexed:
        await runtime.stores.indexing.note(None)
    path = "/v1/generations"
    assert await listed(api, path, **{"metadata[order]": "0"}) == [mine[0]]
    assert await listed(api, path, **{"metadata[shop]": "a", "limit": 1}) == mine[::-1]
    assert await listed(api, path, **{"metadata[shop]": "a", "metadata[order]": "2"}) == [mine[2]]
    assert await listed(api, path, **{"metadata[shop]": "a", "status": "queued"}) == [mine[0]]
    assert await listed(api, path, fal_request_id=request_id) == [mine[1]]
    assert await listed(api, path, fal_request_id=of_other) == []
    assert await listed(api, path, error_code="invalid_input") == [mine[2]]
    assert await listed(api, path, error_code="expired") == []


async def test_tenant_filter_that_is_unknown_is_refused(runtime: Runtime, api: httpx.AsyncClient) -> None:
    for query in ("metadata=1", "metadata[]=1", "meta[a]=1", "tenant_id=ten_1", "error_code=none", "fal_request_id="):
        answer = await api.get(f"/v1/generations?{query}")
        assert answer.status_code == 422, query


async def test_tenant_cursor_names_no_generation_of_another(
    runtime: Runtime, tenant: Tenant, api: httpx.AsyncClient, other_api: httpx.AsyncClient, clock: Clock
) -> None:
    names = {await created(api, clock) for _ in range(2)}
    for _ in range(3):
        await created(other_api, clock)
    for status in PublicStatus:
        page = await runtime.stores.generation_lists.page(
            Filter(tenant_id=tenant.id, status=status), limit=1, after=None
        )
        assert page.after in {None, *names}


# --- jobs over all that match -----------------------------------------------------------------------------------------


@pytest.fixture
async def crowd(runtime: Runtime, tenant: Tenant, clock: Clock) -> list[str]:
    """Return the ids of generations that take two steps, oldest first."""
    names = []
    for _ in range(ENTRIES_READ + 20):
        clock.advance(timedelta(milliseconds=1))
        g = factories.generation(tenant_id=tenant.id, created_at=clock(), metadata={"a": "b"})
        await runtime.stores.generations.create(g, factories.due(clock()))
        names.append(g.id)
    return names


async def test_steps_over_all_that_match_survive_changes(runtime: Runtime, crowd: list[str], tenant: Tenant) -> None:
    search, found = runtime.operations.generations, list[str]()
    wanted = Filter(tenant_id=tenant.id, status=PublicStatus.QUEUED)
    steps = search.matching(Filter.from_json(wanted.to_json()))
    first = await anext(steps)
    found += first.items
    for name in first.items[:50]:  # those that are canceled leave the index
        await search.cancel(name, reason="loop")
    assert first.after == found[-1]
    async for step in search.matching(wanted, after=first.after):  # another process continues
        found += step.items
    assert found == crowd[::-1]
    left = [name async for step in search.matching(wanted) for name in step.items]
    assert left == [name for name in crowd[::-1] if name not in found[:50]]


async def test_search_is_bounded_with_any_history(
    runtime: Runtime, redis_url: str, crowd: list[str], operator: httpx.AsyncClient, tenant: Tenant
) -> None:
    """A page reads one part of an index, records in slices, and one list of names."""
    with redis_py.Redis.from_url(redis_url) as client:
        for query in ("", "status=queued", "status=succeeded", f"tenant_id={tenant.id}&metadata[a]=b", "model=x"):
            client.config_resetstat()
            answer = await operator.get(f"{ADMIN}?limit=20&{query}")
            assert answer.status_code == 200
            calls = {name: stat["calls"] for name, stat in client.info("commandstats").items()}
            assert calls.get("cmdstat_zrevrangebylex", 0) == 1, query
            assert calls.get("cmdstat_hget", 0) <= ENTRIES_READ
            assert calls.get("cmdstat_mget", 0) <= 1
