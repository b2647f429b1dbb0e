"""The trail is shared: a tenant takes a bounded share of it, and cannot displace what others have in it."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.domain.actor import ActorKind
from service.domain.tenant import Tenant
from service.observability import metrics
from service.runtime import Runtime
from service.store import keys
from service.store.trail.trail import TenantShare, TrailStore
from tests.support import factories
from tests.support.factories import Clock
from tests.support.metric_values import value
from tests.support.trail import entries, last_number

Connect = Callable[..., Any]
_ENDPOINT = "/v1/webhook-endpoints/whe_1"


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


@pytest.fixture
async def others(operator: httpx.AsyncClient, other_api: httpx.AsyncClient, runtime: Runtime) -> AsyncIterator[int]:
    """Return how many entries an operator and another tenant have before the flood; they can add one after it."""
    await operator.post("/admin/v1/pause", json={"reason": "night"})
    await other_api.delete(_ENDPOINT)
    before = len(await entries(runtime))
    yield before
    assert (await operator.post("/admin/v1/resume")).status_code == 200
    assert (await other_api.delete(_ENDPOINT)).status_code == 404
    kinds = [entry.actor.kind for entry in await entries(runtime)]
    assert kinds[:before] == [ActorKind.BREAK_GLASS, ActorKind.API_KEY]
    assert kinds[-2:] == kinds[:before]
    assert (await runtime.chain.run()).break_count == 0


async def test_flood_of_a_tenant_ends_at_its_acts_of_a_day(
    api: httpx.AsyncClient, runtime: Runtime, others: int, clock: Clock
) -> None:
    runtime.trail._share = TenantShare(20, 1_000)
    counted = metrics.ACTS_REFUSED.labels("daily")
    refused_before = value(counted)
    answers = [await api.delete(_ENDPOINT) for _ in range(30)]

    assert [answer.status_code for answer in answers] == [404] * 20 + [429] * 10
    refused = answers[-1].json()
    assert (refused["code"], refused["detail"]) == (
        "too_many_changes",
        "This tenant has made 20 changes of configuration today (UTC).",
    )
    assert 0 < int(answers[-1].headers["retry-after"]) <= 86_400
    assert len(await entries(runtime)) == others + 20
    assert await runtime.stores.trail.pending() == {}
    assert value(counted) - refused_before == 10
    clock.advance(timedelta(days=1))
    assert (await api.delete(_ENDPOINT)).status_code == 404


async def test_flood_of_a_tenant_ends_at_its_stored_entries(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, runtime: Runtime, others: int, tenant: Tenant
) -> None:
    runtime.trail._share = TenantShare(1_000, 20)
    answers = [await api.delete(_ENDPOINT) for _ in range(25)]

    assert [answer.status_code for answer in answers] == [404] * 20 + [429] * 5
    assert "an operator makes the changes" in answers[-1].json()["detail"]
    assert len(await entries(runtime)) == others + 20
    # Operators are not refused by it: what a tenant does cannot hide or stop what is done about the tenant.
    assert (await operator.post(f"/admin/v1/tenants/{tenant.id}/suspend")).status_code == 200
    assert (await entries(runtime))[-1].action == "suspend_tenant"


async def test_stored_entries_of_a_refused_tenant_expire(runtime: Runtime) -> None:
    share, tenant_id = TenantShare(1_000, 5), factories.tenant().id
    entry = factories.trail_entry(tenant_id=tenant_id, at=factories.NOW)
    store = TrailStore(runtime.redis, retention=timedelta(days=400))
    for number in range(5):
        assert await store.begin(f"act_{number}", entry, share=share) == "begun"
        await store.append(f"act_{number}", entry)
    assert await store.begin("act_6", entry, share=share) == "stored"

    later = TrailStore(runtime.redis, retention=timedelta())
    assert await later.begin("act_6", entry, share=share) == "begun"
    assert await runtime.redis.execute("ZCARD", keys.trail_of_tenant(tenant_id)) < 5
    assert await last_number(runtime) == 5
