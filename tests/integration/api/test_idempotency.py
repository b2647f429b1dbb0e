"""A request that was accepted once stays accepted: its key returns it, whatever its tenant may request since then."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.domain.pricing import Parts
from service.domain.tenant import Limits, Tenant
from service.store.redis.client import Redis
from tests.support.factories import create_body

KEY = {"Idempotency-Key": "order-7"}


async def post(api: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    return await api.post("/v1/generations", json=create_body(**changes), headers=KEY)


async def limit(app: FastAPI, tenant: Tenant, *, require_end_user: bool = False, **limits: Any) -> None:
    def changed(before: Tenant) -> Tenant:
        return replace(before, limits=Limits(**limits), require_end_user=require_end_user)

    runtime = app.state.runtime
    await runtime.tenants.service.update(tenant.id, changed)
    runtime.tenants.authenticator.forget()


@pytest.mark.parametrize(
    "limits",
    [
        {"resolutions": ("480p",)},
        {"durations": ("4",)},
        {"require_end_user": True},
        {"webhook_url": "http://10.0.0.1/hook"},
        {"monthly_budget": 0},
        {"queued_generations": 0},
    ],
)
async def test_idempotency_replay_skips_admission(
    app: FastAPI, api: httpx.AsyncClient, tenant: Tenant, limits: dict[str, Any]
) -> None:
    first = await post(api)
    await limit(app, tenant, **limits)

    again = await post(api)

    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"]), again.text
    assert again.headers["idempotency-replayed"] == "true"
    assert (await api.post("/v1/generations", json=create_body())).status_code in (402, 422, 429)


async def test_idempotency_replay_has_cost_of_first(
    app: FastAPI, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await post(api, max_cost_usd="5")

    async def dearer(*_: object) -> Parts:
        return Parts(seconds=5, formula=100_000_000, published=None)

    monkeypatch.setattr(app.state.runtime.generations.admission, "parts", dearer)

    assert (await post(api, max_cost_usd="5")).json()["id"] == first.json()["id"]
    assert (await api.post("/v1/generations", json=create_body(max_cost_usd="5"))).status_code == 402


async def test_idempotency_other_payload_precedes_other_errors(
    app: FastAPI, api: httpx.AsyncClient, tenant: Tenant
) -> None:
    await post(api)
    await limit(app, tenant, resolutions=("480p",))

    assert (await post(api, seed=1)).json()["code"] == "idempotency_mismatch"


async def test_idempotency_refused_request_stores_no_key(app: FastAPI, api: httpx.AsyncClient, tenant: Tenant) -> None:
    await limit(app, tenant, resolutions=("480p",))
    assert (await post(api)).json()["code"] == "invalid"
    await limit(app, tenant)

    assert "idempotency-replayed" not in (await post(api)).headers


async def test_idempotency_key_is_read_after_refusal_only(
    app: FastAPI, api: httpx.AsyncClient, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The create script reads the key in any case: another round trip would slow every call."""
    monkeypatch.setattr(app.state.runtime.stores.generations, "find_bound", None)

    assert [(await post(api)).status_code for _ in range(2)] == [202, 202]
