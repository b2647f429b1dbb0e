"""Acts of operators and managing acts of tenants are recorded, also when they are refused or do not end."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.api.http.audited import AuditedRoute
from service.config.settings import Settings
from service.domain.chain import GENESIS, chained
from service.domain.operator import Role
from service.domain.trail import REDACTED, Outcome
from service.errors import NotFound
from service.runtime import Runtime, open_runtime
from service.store.trail.trail import TenantShare
from tests.conftest import client_of
from tests.support import factories
from tests.support.factories import Clock
from tests.support.trail import entries, links

Connect = Callable[..., Any]


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


@asynccontextmanager
async def operator_of(app: FastAPI, role: Role) -> AsyncIterator[httpx.AsyncClient]:
    service = app.state.runtime.operators.service
    person = await service.create("Ada", role)
    _, token = await service.create_token(person.id)
    async with client_of(app, token) as client:
        yield client


async def test_act_of_an_operator_is_recorded_with_its_change(app: FastAPI, runtime: Runtime) -> None:
    tenant = await runtime.tenants.service.create("shop")
    body = {"limits": {"weight": 3}}
    async with operator_of(app, Role.ADMIN) as client:
        answer = await client.patch(f"/admin/v1/tenants/{tenant.id}", json=body, headers={"x-request-id": "r-1"})

    (entry,) = await entries(runtime)
    assert answer.status_code == 200
    assert (entry.action, entry.target, entry.tenant_id, entry.outcome) == (
        "change_tenant",
        tenant.id,
        tenant.id,
        Outcome.DONE,
    )
    assert (entry.actor.name, entry.actor.role, entry.actor.request_id) == ("Ada", Role.ADMIN, "r-1")
    assert entry.changes == {"limits.weight": (1, 3)}
    assert await runtime.stores.trail.pending() == {}


async def test_act_refused_by_role_changes_nothing_and_is_recorded(app: FastAPI, runtime: Runtime) -> None:
    async with operator_of(app, Role.VIEWER) as client:
        answer = await client.post("/admin/v1/pause", json={"reason": "maintenance"})

    (entry,) = await entries(runtime)
    assert answer.status_code == 403
    assert (entry.action, entry.outcome, entry.error) == ("pause_dispatch", Outcome.REFUSED, "forbidden")
    assert (await runtime.operations.gate.read()).hold is None


async def test_act_of_a_wrong_body_is_recorded_as_refused(operator: httpx.AsyncClient, runtime: Runtime) -> None:
    assert (await operator.post("/admin/v1/pause", json={"reason": ""})).status_code == 422

    (entry,) = await entries(runtime)
    assert (entry.actor.kind, entry.outcome, entry.error) == ("break_glass", Outcome.REFUSED, "invalid")


async def test_act_reason_of_the_body_is_recorded(operator: httpx.AsyncClient, runtime: Runtime) -> None:
    await operator.post("/admin/v1/pause", json={"reason": "fal is down"})

    assert [entry.reason for entry in await entries(runtime)] == ["fal is down"]


async def test_act_of_a_tenants_key_is_recorded(connect: Connect, runtime: Runtime) -> None:
    api = await connect()
    made = await api.post("/v1/webhook-endpoints", json={"url": "http://127.0.0.1:9000/hook"})
    await api.get("/v1/webhook-endpoints")

    (entry,) = await entries(runtime)
    assert (entry.action, entry.target, entry.actor.kind) == (
        "create_webhook_endpoint",
        made.json()["id"],
        "api_key",
    )
    assert entry.actor.tenant_id == entry.tenant_id is not None


async def test_act_without_valid_token_is_not_recorded(app: FastAPI, runtime: Runtime) -> None:
    async with client_of(app, "wrong") as client:
        assert (await client.post("/admin/v1/pause", json={"reason": "x"})).status_code == 401

    assert await entries(runtime) == []


async def test_trail_has_no_secret(operator: httpx.AsyncClient, connect: Connect, runtime: Runtime) -> None:
    tenant = (await operator.post("/admin/v1/tenants", json={"name": "shop"})).json()
    key = (await operator.post(f"/admin/v1/tenants/{tenant['id']}/keys", json={"name": "k"})).json()
    api = await connect()
    made = (await api.post("/v1/webhook-endpoints", json={"url": "http://127.0.0.1:9000/h"})).json()
    rotated = await api.post(f"/v1/webhook-endpoints/{made['id']}/rotate-secret", json={"overlap_seconds": 60})

    records = b"".join([link.record for link in await links(runtime)]).decode()
    secrets = [tenant["webhook_secret"], key["key"], key["key"].split("_")[2][:40], made["secret"]]
    assert rotated.status_code < 300
    assert REDACTED in records
    assert not [
        secret
        for secret in [*secrets, *json.dumps(rotated.json()).split('"')]
        if len(secret) > 20 and secret in records
    ]


async def test_act_abandoned_by_its_process_ends_as_unknown(runtime: Runtime, clock: Clock) -> None:
    await runtime.trail.begin(factories.actor(), "pause_dispatch", reason="maintenance")
    assert await runtime.trail.end_abandoned() == 0

    clock.advance(timedelta(hours=1, seconds=1))
    assert await runtime.trail.end_abandoned() == 1

    assert [(e.action, e.outcome, e.reason) for e in await entries(runtime)] == [
        ("pause_dispatch", Outcome.UNKNOWN, "maintenance")
    ]


async def test_act_in_the_command_line_form_records_refusals(runtime: Runtime) -> None:
    with pytest.raises(NotFound):
        async with runtime.trail.act(factories.actor(), "delete_tenant", target="ten_1"):
            await runtime.tenants.service.get("ten_1")

    assert [(e.outcome, e.error) for e in await entries(runtime)] == [(Outcome.REFUSED, "not_found")]


async def test_trail_of_two_processes_is_one_chain(runtime: Runtime, settings: Settings, clock: Clock) -> None:
    async def act(process: Runtime, number: int) -> None:
        async with process.trail.act(factories.actor(), f"act_{number}"):
            pass

    async with open_runtime(settings, clock=clock) as second:
        await asyncio.gather(*(act((runtime, second)[number % 2], number) for number in range(40)))

    found = await links(runtime)
    before = GENESIS
    assert len(found) == 40
    for number, link in enumerate(found, start=1):
        assert (link.number, link.before, link.hash) == (number, before, chained(before, number, link.record))
        before = link.hash
    head = await runtime.stores.trail_reader.head()
    assert (len(found), before, 0) == (head.number, head.hash, head.trimmed)


async def test_tenant_with_too_many_acts_is_refused(connect: Connect, runtime: Runtime) -> None:
    api = await connect()
    runtime.trail._share = TenantShare(2, 100)
    answers = [await api.delete("/v1/webhook-endpoints/whe_1") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [404, 404, 429]
    assert answers[-1].json()["code"] == "too_many_changes"
    assert len(await entries(runtime)) == 2


def test_every_write_of_the_admin_api_is_audited(app: FastAPI) -> None:
    routes: Any = app.routes
    writes = [
        route
        for route in routes
        if getattr(route, "path", "").startswith("/admin/v1") and not (route.methods or set()) <= {"GET", "HEAD"}
    ]
    assert len(writes) > 15
    assert [route.path for route in writes if not (isinstance(route, AuditedRoute) and route.is_audited)] == []
