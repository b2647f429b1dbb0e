"""Lists of end users by name, for tenants and operators, blocks and erasures by operators, indexes without remains."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.domain.end_user import pseudonym
from service.domain.generation_view import rfc3339
from service.domain.operator import Role
from service.domain.tenant import Tenant
from service.runtime import Runtime
from service.store import keys
from service.store.redis.client import Redis
from tests.integration.tenants.test_end_users import NAMES, create, path
from tests.integration.trail.test_acts import operator_of
from tests.support.factories import Clock
from tests.support.trail import entries

LIST = "/v1/end-users"
WHY = {"reason": "abuse"}


async def listed(client: httpx.AsyncClient, url: str = LIST, **parameters: Any) -> list[dict[str, Any]]:
    """Return the entries of all pages."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await client.get(url, params={"limit": 3, **parameters, **cursor})
        assert answer.status_code == 200, answer.text
        found += answer.json()["data"]
        if answer.json()["next_cursor"] is None:
            return found
        cursor = {"cursor": answer.json()["next_cursor"]}


async def ids_of(client: httpx.AsyncClient, url: str = LIST, **parameters: Any) -> list[str | None]:
    return [each["id"] for each in await listed(client, url, **parameters)]


def of_operator(tenant: Tenant, end_user_id: str = "") -> str:
    return f"/admin/v1/tenants/{tenant.id}" + (path(end_user_id).removeprefix("/v1") if end_user_id else "/end-users")


async def test_end_users_are_listed_by_prefix_over_pages(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant
) -> None:
    for name in (*NAMES, NAMES[0]):
        await create(api, name)
    await create(other_api, "other")

    for prefix in ("", "a", "a/", "a/b", "名", "x" * 256, "%", ".", "nothing", *NAMES):
        expected = sorted(name for name in NAMES if name.startswith(prefix))
        assert await ids_of(api, prefix=prefix) == expected, prefix
        assert await ids_of(operator, of_operator(tenant), prefix=prefix) == expected, prefix
    assert await ids_of(other_api) == ["other"]


async def test_end_user_in_list_is_as_when_read(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    await create(api)
    clock.advance(timedelta(seconds=1))  # on the same day
    await create(api)
    await api.post(f"{path('customer-7')}/block", json=WHY)

    (found,) = await listed(api)

    assert found == (await api.get(path("customer-7"))).json() == (await listed(operator, of_operator(tenant)))[0]
    assert (found["generations"], found["today"]["count"], found["block_reason"]) == (2, 2, "abuse")
    assert found["last_seen_at"] == rfc3339(clock())


async def test_blocked_filter_finds_erased_end_users_too(api: httpx.AsyncClient, tenant: Tenant) -> None:
    for name in ("a-1", "a-2", "a-3", "b-1"):
        await create(api, name)
    for name in ("a-1", "a-3", "b-1"):
        await api.post(f"{path(name)}/block")
    await api.delete(path("a-3"))
    await api.post(f"{path('b-1')}/unblock")
    await api.post(f"{path('b-1')}/block")

    assert await ids_of(api, blocked="false") == ["a-2"]
    assert sorted(map(str, await ids_of(api, blocked="true"))) == ["None", "a-1", "b-1"]
    assert await ids_of(api, blocked="true", prefix="a-") == ["a-1"]
    erased = [each for each in await listed(api, blocked="true") if each["id"] is None]
    assert [each["pseudonym"] for each in erased] == [pseudonym(tenant, "a-3")]
    for name in ("a-1", "a-3", "b-1"):
        await api.post(f"{path(name)}/unblock")
    assert await ids_of(api, blocked="true") == []


@pytest.mark.parametrize("query", ["cursor=%21", "limit=0", "limit=101", "blocked=7", "prefix=" + "x" * 257])
async def test_invalid_list_query_returns_422(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant, query: str
) -> None:
    for client, url in ((api, LIST), (operator, of_operator(tenant))):
        assert (await client.get(f"{url}?{query}")).status_code == 422


async def indexed(redis: Redis, tenant: Tenant) -> tuple[set[str], set[str]]:
    """Return the names in both indexes."""
    seen, names = [
        {name.decode() for name in await redis.execute("ZRANGE", key, 0, -1)}
        for key in (keys.end_users(tenant.id), keys.end_user_names(tenant.id))
    ]
    return seen, names


async def _expire(api: httpx.AsyncClient, clock: Clock, _: Runtime, __: Tenant) -> None:
    clock.advance(timedelta(days=401))
    await create(api, "new")


#: What removes "old" from the indexes, and who is left.
ENDS: dict[str, tuple[Callable[[httpx.AsyncClient, Clock, Runtime, Tenant], Awaitable[Any]], set[str]]] = {
    "erasure": (lambda api, *_: api.delete(path("old")), {"other"}),
    "400 days": (_expire, {"new"}),
    "deletion of the tenant": (
        lambda _, __, runtime, tenant: runtime.tenants.service.delete(tenant.id, drain=False),
        set(),
    ),
}


@pytest.mark.parametrize("end", ENDS)
async def test_indexes_of_end_users_have_no_remains(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, tenant: Tenant, redis: Redis, end: str
) -> None:
    for name in ("old", "other"):
        created = await create(api, name)
        await api.post(f"/v1/generations/{created.json()['id']}/cancel")
    assert await indexed(redis, tenant) == ({"old", "other"}, {"old", "other"})
    for key in (keys.end_users(tenant.id), keys.end_user_names(tenant.id)):
        assert 0 < await redis.execute("TTL", key) <= keys.MONEY_RETENTION_SECONDS

    remove, left = ENDS[end]
    await remove(api, clock, runtime, tenant)

    assert await indexed(redis, tenant) == (left, left)


async def test_deleted_tenant_has_no_blocked_end_users(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, redis: Redis
) -> None:
    created = await create(api)
    await api.post(f"/v1/generations/{created.json()['id']}/cancel")
    await api.post(f"{path('customer-7')}/block")

    await runtime.tenants.service.delete(tenant.id, drain=False)

    assert await redis.execute("EXISTS", keys.blocked_end_users(tenant.id)) == 0


async def test_record_without_index_is_indexed_by_next_create(
    api: httpx.AsyncClient, redis: Redis, tenant: Tenant
) -> None:
    """A build before the index wrote records only; a record that expired is not listed."""
    await create(api)
    await redis.execute("DEL", keys.end_users(tenant.id), keys.end_user_names(tenant.id))
    assert await ids_of(api) == []

    await create(api)
    assert await ids_of(api) == ["customer-7"]

    await redis.execute("DEL", keys.end_user(tenant.id, pseudonym(tenant, "customer-7")))
    assert await ids_of(api) == []


# --- operators --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["customer-7", "a/b", "..", "名前 ü 🦊"])
async def test_operator_blocks_and_erases_end_user(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant, name: str, runtime: Runtime
) -> None:
    await create(api, name)
    url = of_operator(tenant, name)

    blocked = await operator.post(f"{url}/block", json=WHY)
    assert (blocked.status_code, blocked.json()["block_reason"]) == (200, "abuse"), blocked.text
    assert (await create(api, name)).status_code == 403
    unblocked = await operator.post(f"{url}/unblock", json=WHY)
    assert (unblocked.status_code, unblocked.json()["blocked_at"]) == (200, None)

    erased = await operator.delete(url, params={"reason": "request of the person"})
    assert (erased.status_code, erased.json()["generations"]) == (200, 1), erased.text
    assert {each["what"] for each in erased.json()["remains"]} >= {"fal_files", "money", "logs"}
    assert (await operator.get(f"{url}/erasure")).json() == erased.json()
    assert (await api.get(f"{path(name)}/erasure")).json() == erased.json()
    assert (await operator.delete(url)).status_code == 404
    recorded = {entry.action: entry for entry in await entries(runtime)}
    assert recorded["erase_end_user_of_tenant"].target == pseudonym(tenant, name)
    assert recorded["read_erasure_of_tenant"].tenant_id == tenant.id
    assert name not in "".join(map(repr, recorded.values())) or name == ".."


async def test_in_flight_and_blocked_are_in_receipt(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock
) -> None:
    created = (await create(api)).json()["id"]
    for verb in (lambda g: g.submitting(clock()), lambda g: g.submitted("request-1")):
        await runtime.transitions.apply(created, verb)
    await operator.post(f"{of_operator(tenant, 'customer-7')}/block", json=WHY)

    receipt = (await operator.delete(of_operator(tenant, "customer-7"))).json()

    assert (receipt["generations"], receipt["in_flight"]) == (1, 1)
    assert {each["what"] for each in receipt["remains"]} >= {"in_flight", "block"}


async def test_roles_over_end_users(app: FastAPI, api: httpx.AsyncClient, tenant: Tenant, runtime: Runtime) -> None:
    await create(api)
    url = of_operator(tenant, "customer-7")
    async with operator_of(app, Role.VIEWER) as viewer, operator_of(app, Role.OPERATOR) as on_call:
        for client, status in ((viewer, 403), (on_call, 200)):
            assert (await client.get(of_operator(tenant))).status_code == status
            for act in ("block", "unblock"):
                assert (await client.post(f"{url}/{act}", json=WHY)).status_code == status
        assert (await on_call.post(f"{url}/block", json={})).status_code == 422
        for client in (viewer, on_call):
            assert (await client.delete(url)).status_code == 403
        actions = [entry.action for entry in await entries(runtime)]
        assert actions.count("list_end_users_of_tenant") == 2
    assert await ids_of(api) == ["customer-7"]


@pytest.mark.parametrize(
    ("method", "rest"), [("POST", "/block"), ("POST", "/unblock"), ("DELETE", ""), ("GET", "/erasure")]
)
async def test_end_user_of_other_tenant_is_not_found(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, runtime: Runtime, method: str, rest: str
) -> None:
    await create(api)
    other = await runtime.tenants.service.create("other")
    for tenant_id in (other.id, "ten_1"):
        body: dict[str, Any] = {"json": WHY} if method == "POST" else {}
        url = f"/admin/v1/tenants/{tenant_id}/end-users/customer-7{rest}"
        assert (await operator.request(method, url, **body)).status_code == 404
