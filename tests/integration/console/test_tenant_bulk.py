"""Replay jobs of a tenant: of its own deliveries only, whatever ids and filters a form has."""

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.domain.actor import ActorKind
from service.domain.console_session import Subject
from service.domain.tenant import Scope, Tenant
from service.domain.webhook import Delivery, DeliveryStatus
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from tests.conftest import Connect
from tests.integration.console.test_tenant_changes import hidden
from tests.support.console import Browser, browser_of
from tests.support.waiting import process_due
from tests.support.webhooks import ended, endpoint

PAGE = "/console/tenant/bulk"
HOOK = "http://127.0.0.1:9000/hook"


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


async def session_of(runtime: Runtime, tenant: Tenant, *scopes: Scope) -> tuple[Subject, str]:
    key = (await runtime.tenants.api_keys.create(tenant.id, name="console", scopes=scopes or tuple(Scope))).key
    return Subject(ActorKind.API_KEY, key.id), key.id


async def dead(api: httpx.AsyncClient, runtime: Runtime, count: int) -> list[str]:
    """Return the ids of new dead letters."""
    await endpoint(api, HOOK)
    names = []
    for _ in range(count):
        g = await runtime.stores.generations.load(await ended(api))
        assert g is not None
        for delivery in await runtime.stores.deliveries.load_many(g.deliveries):
            assert delivery is not None
            assert (await runtime.stores.deliveries.save_attempt(delivery.dead_lettered(), now=runtime.clock())).won
            names.append(delivery.id)
    return names


async def statuses(runtime: Runtime, names: list[str]) -> list[DeliveryStatus]:
    found: list[Delivery | None] = await runtime.stores.deliveries.load_many(names)
    return [delivery.status for delivery in found if delivery is not None]


async def started(browser: Browser, **query: Any) -> str:
    page = await browser.get(f"{PAGE}/preview", params=query)
    assert page.status_code == 200, page.text
    fields = {name: value for name, value in hidden(page.text).items() if name != "csrf"}
    answer = await browser.post(PAGE, reason="the receiver works again", **fields)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def test_tenant_replays_all_that_match_of_its_own(
    app: FastAPI, connect: Connect, runtime: Runtime, tenant: Tenant
) -> None:
    own = await dead(await connect(tenant), runtime, 2)
    others = await dead(await connect(await runtime.tenants.service.create("other")), runtime, 1)
    subject, _ = await session_of(runtime, tenant)
    async with browser_of(app, subject) as browser:
        listed = (await browser.get("/console/tenant/deliveries?status=dead")).text
        job = await started(browser, status="dead")
        await process_due(runtime, WorkQueue.SWEEP)
        page = (await browser.get(job)).text
        jobs = (await browser.get(PAGE)).text

    assert "Replay all that match" in listed
    assert listed.count('type="checkbox"') == 2
    assert "<dt>Done</dt><dd>2</dd>" in page
    assert job.rpartition("/")[2] in jobs
    assert await statuses(runtime, own) == [DeliveryStatus.PENDING] * 2
    assert await statuses(runtime, others) == [DeliveryStatus.DEAD]


FORGED: dict[str, dict[str, Any]] = {
    "tenant": {"tenant_id": "OTHER", "status": "dead"},
    "ids": {"ids": ["ITEM"]},
    "tenant and ids": {"tenant_id": "OTHER", "ids": ["ITEM"]},
    "generation": {"generation_id": "GENERATION"},
    "endpoint": {"endpoint_id": "ENDPOINT", "status": "dead"},
}


@pytest.mark.parametrize("case", sorted(FORGED))
async def test_forged_form_of_a_tenant_reaches_no_other(
    case: str, app: FastAPI, connect: Connect, runtime: Runtime, tenant: Tenant
) -> None:
    other = await runtime.tenants.service.create("other")
    (theirs,) = await dead(await connect(other), runtime, 1)
    (found,) = await runtime.stores.deliveries.load_many([theirs])
    assert found is not None
    values = {"OTHER": other.id, "ITEM": theirs, "GENERATION": found.generation_id, "ENDPOINT": found.endpoint_id}
    text = json.dumps(FORGED[case])
    for name, value in values.items():
        text = text.replace(name, str(value))
    subject, _ = await session_of(runtime, tenant)
    async with browser_of(app, subject) as browser:
        query: dict[str, Any] = {("id" if name == "ids" else name): value for name, value in json.loads(text).items()}
        preview = await browser.get(f"{PAGE}/preview", params=query)
        form: dict[str, Any] = {
            "kind": "replay",
            "filter": text,
            "previewed_at": runtime.clock().isoformat(),
            "expected": "9",
        }
        answer = await browser.post(PAGE, reason="x", **form)
        assert answer.status_code == 303, answer.text
        await process_due(runtime, WorkQueue.SWEEP)
        page = (await browser.get(answer.headers["location"])).text

    assert "Nothing matches" in preview.text
    assert "<dt>Matched</dt><dd>0</dd>" in page
    assert await statuses(runtime, [theirs]) == [DeliveryStatus.DEAD]


@pytest.mark.parametrize("kind", ["cancel", "dismiss"])
async def test_tenant_starts_no_other_kind_of_job(kind: str, app: FastAPI, runtime: Runtime, tenant: Tenant) -> None:
    subject, _ = await session_of(runtime, tenant)
    form: dict[str, Any] = {"kind": kind, "filter": "{}", "previewed_at": runtime.clock().isoformat(), "expected": "9"}
    async with browser_of(app, subject) as browser:
        answer = await browser.post(PAGE, reason="x", **form)

    assert answer.status_code == 422
    assert "must be replay" in answer.text


async def test_tenant_reads_and_stops_its_own_jobs_only(
    app: FastAPI, connect: Connect, runtime: Runtime, tenant: Tenant, operator: httpx.AsyncClient
) -> None:
    await dead(await connect(tenant), runtime, 1)
    other = await runtime.tenants.service.create("other")
    subject, _ = await session_of(runtime, tenant)
    stranger, _ = await session_of(runtime, other)
    async with browser_of(app, subject) as browser, browser_of(app, stranger) as their:
        job = await started(browser, status="dead")
        assert (await their.get(job)).status_code == 404
        assert (await their.get(f"{job}/stop")).status_code == 404
        assert (await their.post(f"{job}/stop", reason="x")).status_code == 404
        assert (await operator.get(f"/admin/v1/bulk/{job.rpartition('/')[2]}")).json()["stopping"] is False
        assert (await browser.post(f"{job}/stop", reason="wrong endpoint")).status_code == 303
        await process_due(runtime, WorkQueue.SWEEP)
        assert "wrong endpoint" in (await browser.get(job)).text


async def test_replay_job_of_a_revoked_key_stops(
    app: FastAPI, connect: Connect, runtime: Runtime, tenant: Tenant
) -> None:
    own = await dead(await connect(tenant), runtime, 1)
    subject, key_id = await session_of(runtime, tenant)
    async with browser_of(app, subject) as browser:
        job = (await started(browser, status="dead")).rpartition("/")[2]
    await runtime.tenants.api_keys.revoke(tenant.id, key_id)
    await process_due(runtime, WorkQueue.SWEEP)

    ended_job = await runtime.operations.bulk_jobs.get(job)
    assert (ended_job.state.value, ended_job.note) == ("stopped", "The API key that started it is not valid any more.")
    assert await statuses(runtime, own) == [DeliveryStatus.DEAD]


async def test_replay_job_needs_the_scope_manage(app: FastAPI, runtime: Runtime, tenant: Tenant) -> None:
    reader, _ = await session_of(runtime, tenant, Scope.READ)
    async with browser_of(app, reader) as browser:
        assert (await browser.get(f"{PAGE}/preview?status=dead")).status_code == 403
        assert (await browser.post(PAGE, reason="x")).status_code == 403
        assert (await browser.get(PAGE)).status_code == 200
