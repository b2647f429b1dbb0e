"""Bulk jobs in the console: preview, confirm with a reason, follow, stop; all without JavaScript."""

import re
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI

from service.domain.operator import Role
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from tests.support.console import Browser, browser_of
from tests.support.unconfirmed import created
from tests.support.waiting import process_due

PAGE = "/console/oncall/bulk"
_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


async def confirmed(browser: Browser, reason: str = "a flood", **query: Any) -> tuple[str, str]:
    """Return the text of the page of confirmation, and where its form leads."""
    page = await browser.get(f"{PAGE}/preview", params=query)
    assert page.status_code == 200, page.text
    fields: dict[str, Any] = {name: unescape(value) for name, value in _HIDDEN.findall(page.text) if name != "csrf"}
    answer = await browser.post(PAGE, token=await browser.token(str(page.url)), reason=reason, **fields)
    assert answer.status_code == 303, answer.text
    return page.text, answer.headers["location"]


async def test_console_cancels_all_that_match(admin: Browser, runtime: Runtime, tenant: Tenant) -> None:
    names = [(await created(runtime, tenant, "a rocket")).id for _ in range(2)]
    page, job = await confirmed(admin, kind="cancel", tenant_id=tenant.id, status="queued")
    assert ">Cancel 2<" in page
    assert tenant.id in page

    running = (await admin.get(job)).text
    await process_due(runtime, WorkQueue.SWEEP)
    ended = (await admin.get(job)).text

    assert 'data-refresh="2"' in running
    assert 'data-refresh="2"' not in ended
    assert "<dt>Done</dt><dd>2</dd>" in ended
    assert [(await runtime.stores.generations.load(name)).status.value for name in names] == ["canceled"] * 2  # type: ignore[union-attr]
    assert "a flood" in (await admin.get(PAGE)).text


async def test_console_cancels_a_selection(admin: Browser, runtime: Runtime, tenant: Tenant) -> None:
    first, second = [(await created(runtime, tenant, "a rocket")).id for _ in range(2)]
    _, job = await confirmed(admin, kind="cancel", id=[first])
    await process_due(runtime, WorkQueue.SWEEP)

    assert "<dt>Done</dt><dd>1</dd>" in (await admin.get(job)).text
    other = await runtime.stores.generations.load(second)
    assert other is not None
    assert other.status.value == "queued"


async def test_console_stops_a_bulk_job(admin: Browser, runtime: Runtime, tenant: Tenant) -> None:
    await created(runtime, tenant, "a rocket")
    _, job = await confirmed(admin, kind="cancel", tenant_id=tenant.id)
    assert "Stop the job" in (await admin.get(f"{job}/stop")).text

    answer = await admin.post(f"{job}/stop", reason="wrong tenant")
    await process_due(runtime, WorkQueue.SWEEP)

    assert answer.headers["location"] == job
    assert "wrong tenant" in (await admin.get(job)).text


async def test_console_starts_nothing_that_matches_nothing(admin: Browser, tenant: Tenant) -> None:
    page = await admin.get(f"{PAGE}/preview", params={"kind": "replay", "status": "dead", "tenant_id": tenant.id})

    assert (page.status_code, "Nothing matches" in page.text) == (200, True)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 422),
        ({"kind": "cancel"}, 422),
        ({"kind": "cancel", "tenant_id": "ten_1"}, 404),
        ({"kind": "cancel", "id": "gen_<script>"}, 422),
        ({"kind": "cancel", "tenant_id": "ten_1", "created_before": "tomorrow"}, 422),
    ],
)
async def test_console_preview_refuses_wrong_filters(admin: Browser, query: dict[str, str], status: int) -> None:
    page = await admin.get(f"{PAGE}/preview", params=query)

    assert page.status_code == status
    assert "<script>" not in page.text


@pytest.mark.parametrize("fields", [{}, {"filter": "{"}, {"filter": "{}", "expected": "x"}, {"filter": "[" * 9_000}])
async def test_console_start_refuses_wrong_forms(admin: Browser, fields: dict[str, Any]) -> None:
    assert (await admin.post(PAGE, reason="x", kind="cancel", **fields)).status_code in {400, 422}
    assert "No act on many" in (await admin.get(PAGE)).text


async def test_console_viewer_reads_bulk_jobs_and_starts_none(app: FastAPI, runtime: Runtime, tenant: Tenant) -> None:
    person = await runtime.operators.service.create("Ada", Role.VIEWER)
    _, token = await runtime.operators.service.create_token(person.id)
    async with browser_of(app) as viewer:
        await viewer.log_in(token)
        page = await viewer.get(PAGE)
        preview = await viewer.get(f"{PAGE}/preview", params={"kind": "cancel", "tenant_id": tenant.id})
        start = await viewer.post(PAGE, reason="x", kind="cancel", filter="{}", expected="0")

    assert (page.status_code, "Preview the cancel" in page.text) == (200, False)
    assert (preview.status_code, start.status_code) == (403, 403)
