"""``GET /v1/me``: what a caller reads about its own tenant and key, and nothing of others."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.domain.dispatch_gate import HOLD_TEXTS, Gate, HoldReason, PauseCause
from service.domain.tenant import Limits, Pause, Scope, Tenant
from service.runtime import Runtime
from service.store.generations.changes import Subscription
from tests.conftest import Connect
from tests.support import factories
from tests.support.factories import NOW, Clock, create_body

ME = "/v1/me"
LOCK = "User is locked. Reason: Exhausted balance. Top up at fal.ai/dashboard/billing."


async def me(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get(ME)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_me_shows_tenant_key_and_limits(app: FastAPI, connect: Connect, clock: Clock) -> None:
    limits = Limits(requests_per_minute=600, burst=5, monthly_budget=50_000_000, queued_generations=9)
    tenant = await app.state.runtime.tenants.service.create("Shop", limits, require_end_user=True)
    expires = clock() + timedelta(days=30)
    client = await connect(tenant, name="orders", scopes=(Scope.READ,), expires_at=expires)

    found = await me(client)

    assert (found["object"], found["tenant"]["id"], found["tenant"]["name"]) == ("me", tenant.id, "Shop")
    assert found["tenant"]["require_end_user"] is True
    key = found["api_key"]
    assert (key["name"], key["scopes"], key["expires_at"]) == ("orders", ["read"], f"{expires:%Y-%m-%dT%H:%M:%S}.000Z")
    assert key["id"] == client.headers["authorization"].split("_")[1]
    assert (found["limits"]["queued_generations"], found["limits"]["monthly_budget_usd"]) == (9, "50.000000")
    assert found["rate"] == {"requests_per_minute": 600, "burst": 5, "left": 4}
    assert found["dispatch"] == {"held": False, "hold_reason": None, "detail": None}


async def test_me_counts_and_month_follow_the_generations(
    runtime: Runtime, api: httpx.AsyncClient, other_api: httpx.AsyncClient, tenant: Tenant, operator: httpx.AsyncClient
) -> None:
    await operator.patch(f"/admin/v1/tenants/{tenant.id}", json={"limits": {"monthly_budget_usd": "100"}})
    created = [(await api.post("/v1/generations", json=create_body(end_user_id="a"))).json() for _ in range(3)]
    await other_api.post("/v1/generations", json=create_body())
    await runtime.transitions.apply(created[0]["id"], lambda g: g.submitting(NOW))
    await runtime.transitions.apply(created[0]["id"], lambda g: g.submitted("request-1"))
    await api.post(f"/v1/generations/{created[1]['id']}/cancel")

    found = await me(api)

    assert found["counts"] == {"queued": 1, "in_flight": 1, "stored_deliveries": 0}
    assert (found["today"]["created"], found["today"]["new_end_users"]) == (3, 1)
    held = sum(float(created[number]["cost"]["estimated"]) for number in (0, 2))
    month = found["month"]
    assert (month["spent"], month["limit"]) == ("0.000000", "100.000000")
    assert float(month["held"]) == pytest.approx(held)
    assert float(month["left"]) == pytest.approx(100 - held)
    assert month["resets_at"] > found["today"]["resets_at"][:10]
    assert (await me(other_api))["counts"]["queued"] == 1
    assert (await me(other_api))["month"]["left"] is None


@pytest.mark.parametrize("scope", list(Scope))
async def test_me_accepts_a_key_of_any_scope(connect: Connect, tenant: Tenant, scope: Scope) -> None:
    assert (await me(await connect(tenant, scopes=(scope,))))["api_key"]["scopes"] == [scope.value]


async def test_me_counts_against_the_rate_limit(app: FastAPI, connect: Connect) -> None:
    tenant = await app.state.runtime.tenants.service.create("busy", Limits(requests_per_minute=60, burst=2))
    client = await connect(tenant)

    assert [(await client.get(ME)).status_code for _ in range(3)] == [200, 200, 429]


async def test_me_shows_suspension_and_pause_with_their_reasons(
    app: FastAPI, api: httpx.AsyncClient, other_api: httpx.AsyncClient, tenant: Tenant, operator: httpx.AsyncClient
) -> None:
    path = f"/admin/v1/tenants/{tenant.id}"
    await operator.post(f"{path}/suspend", json={"reason": "unpaid invoice"})
    await operator.post(f"{path}/pause", json={"reason": "too many complaints"})
    app.state.runtime.tenants.authenticator.forget()

    found = await me(api)

    assert found["tenant"]["suspended"] is True
    assert found["tenant"]["suspension"]["reason"] == "unpaid invoice"
    assert found["tenant"]["paused"]["reason"] == "too many complaints"
    assert found["dispatch"]["hold_reason"] == "tenant_paused"
    refused = await api.get("/v1/generations")
    assert (refused.status_code, refused.json()["detail"]) == (403, "The tenant is suspended: unpaid invoice")
    assert (await me(other_api))["tenant"]["suspension"] is (await me(other_api))["tenant"]["paused"] is None
    await operator.post(f"{path}/resume")
    app.state.runtime.tenants.authenticator.forget()
    assert (await me(api))["tenant"] == {**found["tenant"], "suspended": False, "suspension": None, "paused": None}


TENANT = factories.tenant()
PAUSED = replace(TENANT, paused=Pause("night", NOW))
OWN = frozenset({TENANT.id})


@pytest.mark.parametrize(
    ("gate", "tenant", "expected"),
    [
        (Gate(), TENANT, None),
        (Gate(draining=True), TENANT, None),
        (Gate(closed_tenants=frozenset({"ten_another"})), TENANT, None),
        (Gate(PauseCause.PAUSED), TENANT, HoldReason.PAUSED),
        (Gate(PauseCause.LOCKED), TENANT, HoldReason.ACCOUNT_LOCKED),
        (Gate(PauseCause.FAILING), TENANT, HoldReason.UPSTREAM_FAILING),
        (Gate(closed_tenants=OWN), TENANT, HoldReason.TENANT_FAILING),
        (Gate(PauseCause.LOCKED, closed_tenants=OWN), TENANT, HoldReason.ACCOUNT_LOCKED),
        (Gate(), PAUSED, HoldReason.TENANT_PAUSED),
        (Gate(PauseCause.FAILING, closed_tenants=OWN), PAUSED, HoldReason.TENANT_PAUSED),
    ],
)
def test_hold_reason_by_gate_and_tenant(gate: Gate, tenant: Tenant, expected: HoldReason | None) -> None:
    assert gate.holds(tenant) is expected


def test_every_hold_reason_has_a_sentence() -> None:
    assert set(HOLD_TEXTS) == set(HoldReason)


Close = Callable[[Runtime, Tenant], Any]


async def _lock(runtime: Runtime, _: Tenant) -> None:
    await runtime.operations.gate.locked(LOCK)


async def _pause(runtime: Runtime, _: Tenant) -> None:
    await runtime.operations.gate.pause("moving Redis to rack 7")


async def _fail_both(runtime: Runtime, tenant: Tenant) -> None:
    for number, owner in enumerate((tenant.id, "ten_another") * 10):
        await runtime.stores.gate.note(
            "unsent", "ConnectError 10.1.2.3", runtime.clock(), generation_id=f"gen_{number}", tenant_id=owner
        )


async def _fail_own(runtime: Runtime, tenant: Tenant) -> None:
    other = await runtime.tenants.service.create("has work, and succeeds")
    await runtime.generations.creator.create(other, factories.create_request())
    for number in range(20):
        await runtime.stores.gate.note(
            "unsent", "ConnectError 10.1.2.3", runtime.clock(), generation_id=f"gen_{number}", tenant_id=tenant.id
        )


async def _pause_own(runtime: Runtime, tenant: Tenant) -> None:
    await runtime.tenants.service.pause(tenant.id, "complaints")
    runtime.tenants.authenticator.forget()


@pytest.mark.parametrize(
    ("close", "reason"),
    [
        (_pause, "paused"),
        (_lock, "account_locked"),
        (_fail_both, "upstream_failing"),
        (_pause_own, "tenant_paused"),
        (_fail_own, "tenant_failing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_hold_is_shown_in_me_read_list_and_stream(
    app: FastAPI, api: httpx.AsyncClient, tenant: Tenant, close: Close, reason: str
) -> None:
    runtime: Runtime = app.state.runtime
    g = (await api.post("/v1/generations", json=create_body())).json()
    assert g["queue"]["hold_reason"] is None
    await close(runtime, tenant)
    runtime.generations.queue_estimator.forget()

    read = await api.get(f"/v1/generations/{g['id']}")
    listed = await api.get("/v1/generations")
    own = await api.get(ME)

    assert read.json()["queue"] == {"position": 0, "estimated_start_seconds": None, "hold_reason": reason}
    assert listed.json()["data"][0]["queue"] == read.json()["queue"]
    assert (own.json()["dispatch"]["held"], own.json()["dispatch"]["hold_reason"]) == (True, reason)
    owner, subscriber = await runtime.tenants.service.get(tenant.id), Subscription()
    feed = await runtime.generations.streams.subscribe(owner, g["id"], subscriber)
    runtime.generations.streams.unsubscribe(owner, g["id"], subscriber)
    assert feed.snapshot is not None
    assert feed.snapshot.queue == read.json()["queue"]
    for secret in ("balance", "rack 7", "10.1.2.3", "another"):
        assert secret not in (read.text + listed.text + own.text)


async def test_hold_reason_ends_with_the_hold(app: FastAPI, api: httpx.AsyncClient) -> None:
    runtime: Runtime = app.state.runtime
    g = (await api.post("/v1/generations", json=create_body())).json()
    await runtime.operations.gate.pause("night")
    runtime.generations.queue_estimator.forget()
    assert (await api.get(f"/v1/generations/{g['id']}")).json()["queue"]["hold_reason"] == "paused"
    await runtime.operations.gate.resume()
    runtime.generations.queue_estimator.forget()
    assert (await api.get(f"/v1/generations/{g['id']}")).json()["queue"]["hold_reason"] is None
    assert (await me(api))["dispatch"]["held"] is False


async def test_read_of_a_generation_makes_one_exchange_for_all_reads_of_the_gate(
    app: FastAPI, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate is cached in the process: a read that is held reads nothing more than one that is not."""
    runtime: Runtime = app.state.runtime
    g = (await api.post("/v1/generations", json=create_body())).json()
    await runtime.operations.gate.pause("night")
    runtime.generations.queue_estimator.forget()
    reads = 0
    whole = runtime.stores.gate.read

    async def counted() -> Gate:
        nonlocal reads
        reads += 1
        return await whole()

    monkeypatch.setattr(runtime.stores.gate, "read", counted)
    for _ in range(20):
        assert (await api.get(f"/v1/generations/{g['id']}")).json()["queue"]["hold_reason"] == "paused"
        await me(api)
    assert reads == 1
