"""End users: read, blocked, traced by pseudonym; with any characters in the id, and separate for each tenant."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from service.domain.end_user import pseudonym
from service.domain.generation_view import rfc3339
from service.domain.tenant import Tenant
from service.runtime import Runtime
from service.store import keys
from tests.support import factories
from tests.support.factories import Clock, create_body

NAMES = [
    "customer-7",
    "a/b",
    "a/block",
    "/",
    "a//b/",
    "..",
    "a/../b",
    ".",
    "50%",
    "%2F",
    "a b",
    "?x=1#y",
    "名前 ü 🦊",
    "a:b@c.example",
    "+1 555",
    "x" * 256,
]


def path(end_user_id: str) -> str:
    # Dots are escaped too: HTTP clients resolve "/.." to the parent folder, as RFC 3986 requires.
    return "/v1/end-users/" + quote(end_user_id, safe="").replace(".", "%2E")


async def create(api: httpx.AsyncClient, end_user_id: str = "customer-7") -> httpx.Response:
    return await api.post("/v1/generations", json=create_body(end_user_id=end_user_id, duration=5))


@pytest.fixture
def refuse(runtime: Runtime) -> Callable[..., Awaitable[None]]:
    """Let a generation fail as a worker does."""

    async def refused(generation_id: str, **failure: Any) -> None:
        for verb in (
            lambda g: g.submitting(factories.NOW),
            lambda g: g.submitted("request-1"),
            lambda g: g.failed(factories.failure(**failure), 0, factories.NOW),
        ):
            await runtime.transitions.apply(generation_id, verb)

    return refused


# --- look -------------------------------------------------------------------------------------------------------------


async def test_end_user_is_known_to_its_tenant_only(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    assert (await api.get(path("customer-7"))).status_code == 404
    cost = (await create(api)).json()["cost"]["estimated"]
    assert (await api.get(path("customer-7"))).json() == {
        "id": "customer-7",
        "object": "end_user",
        "pseudonym": pseudonym(tenant, "customer-7"),
        "refusals": 0,
        "blocked_at": None,
        "block_reason": None,
        "today": {"held": cost, "spent": "0.000000", "count": 1},
        "spent_this_month": "0.000000",
        "generations": 1,
        "last_seen_at": rfc3339(clock()),
    }
    other = await other_api.get(path("customer-7"))
    assert (other.status_code, other.json()["code"]) == (404, "not_found")
    await create(other_api)
    assert (await other_api.get(path("customer-7"))).json()["pseudonym"] != pseudonym(tenant, "customer-7")


async def test_end_user_daily_spending_resets_at_midnight(api: httpx.AsyncClient, clock: Clock) -> None:
    await create(api)
    clock.advance(timedelta(days=1))
    shown = (await api.get(path("customer-7"))).json()
    assert shown["today"] == {"held": "0.000000", "spent": "0.000000", "count": 0}


async def test_end_user_policy_refusals_are_counted(
    api: httpx.AsyncClient, refuse: Callable[..., Awaitable[None]]
) -> None:
    for code in ("content_policy", "upstream_timeout", "content_policy"):
        await refuse((await create(api)).json()["id"], code=code)
    assert (await api.get(path("customer-7"))).json()["refusals"] == 2


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
async def test_end_user_id_may_have_any_characters(api: httpx.AsyncClient, name: str) -> None:
    assert (await create(api, name)).status_code == 202
    assert (await api.get(path(name))).json()["id"] == name
    assert (await api.post(path(name) + "/block")).json()["id"] == name
    assert (await create(api, name)).status_code == 403
    assert (await api.post(path(name) + "/unblock")).json()["id"] == name
    erased = (await api.delete(path(name))).json()
    assert (erased["end_user_id"], erased["state"], erased["generations"]) == (name, "done", 1)
    assert (await api.get(path(name) + "/erasure")).json() == erased
    assert (await api.get(path(name))).status_code == 404


@pytest.mark.parametrize("name", ["", "x" * 257, "a\tb", "\x00"])
async def test_end_user_invalid_id_stores_nothing(api: httpx.AsyncClient, runtime: Runtime, name: str) -> None:
    assert (await api.get(path(name))).status_code == 404
    assert (await api.post(path(name) + "/block")).status_code == 404
    assert (await api.post(path(name) + "/unblock")).status_code == 404
    assert (await api.delete(path(name))).status_code == 404
    assert await runtime.redis.execute("KEYS", "*end_user*") == []


# --- block ------------------------------------------------------------------------------------------------------------


async def test_blocked_end_user_is_refused_until_unblock(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, clock: Clock
) -> None:
    queued = (await create(api)).json()
    first = (await api.post(path("customer-7") + "/block")).json()
    clock.advance(timedelta(minutes=1))
    again = (await api.post(path("customer-7") + "/block")).json()
    assert first["blocked_at"] == again["blocked_at"] is not None
    refused = await create(api)
    assert (refused.status_code, refused.json()["code"]) == (403, "end_user_blocked")
    assert (await api.get(path("customer-7"))).json()["today"]["count"] == 1
    assert (await api.get(f"/v1/generations/{queued['id']}")).json()["status"] == "queued", "its generations continue"
    assert (await create(api, "customer-8")).status_code == 202
    assert (await create(other_api)).status_code == 202
    assert (await api.post(path("customer-7") + "/unblock")).status_code == 200
    assert (await create(api)).status_code == 202
    assert (await api.get(path("customer-7"))).json()["blocked_at"] is None


async def test_block_survives_erasure(api: httpx.AsyncClient) -> None:
    await create(api)
    blocked = await api.post(path("customer-7") + "/block")
    assert (blocked.status_code, blocked.json()["pseudonym"][:3]) == (200, "eu_")
    assert (await api.get(path("customer-7"))).json() == blocked.json()
    assert (await api.delete(path("customer-7"))).status_code == 200
    assert (await api.get(path("customer-7"))).json()["blocked_at"] == blocked.json()["blocked_at"]
    assert (await create(api)).status_code == 403


async def test_end_user_id_expires_but_block_does_not(api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant) -> None:
    await create(api)
    record = keys.end_user(tenant.id, pseudonym(tenant, "customer-7"))
    assert await runtime.redis.execute("TTL", record) > 0
    await api.post(path("customer-7") + "/block")
    assert await runtime.redis.execute("TTL", record) == -1
    await api.post(path("customer-7") + "/unblock")
    assert await runtime.redis.execute("TTL", record) > 0


async def test_idempotency_replay_of_blocked_end_user(api: httpx.AsyncClient) -> None:
    body, key = create_body(end_user_id="customer-7"), {"Idempotency-Key": "order-7"}
    first = await api.post("/v1/generations", json=body, headers=key)
    await api.post(path("customer-7") + "/block")
    again = await api.post("/v1/generations", json=body, headers=key)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])


# --- trace ------------------------------------------------------------------------------------------------------------


async def test_operator_traces_pseudonym(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant, refuse: Callable[..., Awaitable[None]]
) -> None:
    name = pseudonym(tenant, "customer-7")
    trace = f"/admin/v1/tenants/{tenant.id}/end-users/{name}"
    assert (await operator.get(trace)).status_code == 404
    await refuse((await create(api)).json()["id"])
    assert (await operator.get(trace)).json() == {
        "object": "end_user_trace",
        "tenant_id": tenant.id,
        "pseudonym": name,
        "end_user_id": "customer-7",
        "refusals": 1,
        "blocked_at": None,
        "block_reason": None,
    }
    await api.delete(path("customer-7"))
    assert (await operator.get(trace)).status_code == 404


async def test_trace_unknown_pseudonym_returns_404(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant
) -> None:
    await create(api)
    await create(other_api)
    other = (await other_api.get(path("customer-7"))).json()["pseudonym"]
    own = pseudonym(tenant, "customer-7")
    for name in (other, f"{own}:generations", pseudonym(tenant, None), "x", own.upper()):
        answer = await operator.get(f"/admin/v1/tenants/{tenant.id}/end-users/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), name
