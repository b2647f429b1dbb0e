"""Generations of all tenants in the console: filters, one generation, cancel; and the page of the audit trail."""

import httpx
import pytest
from fastapi import FastAPI

from service.domain.operator import Role
from service.runtime import Runtime
from tests.support.console import Browser
from tests.support.factories import create_body
from tests.support.trail import entries

LIST = "/console/oncall/generations"


@pytest.fixture
async def created(api: httpx.AsyncClient) -> str:
    body = create_body(prompt="a <b>cat</b>", end_user_id="ann", metadata={"order": "7"}, webhook_url=...)
    answer = await api.post("/v1/generations", json=body)
    found: str = answer.raise_for_status().json()["id"]
    return found


async def tenant_of(api: httpx.AsyncClient) -> str:
    found: str = (await api.get("/v1/me")).json()["tenant"]["id"]
    return found


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ("", True),
        ("status=queued", True),
        ("status=failed", False),
        ("error_code=internal", False),
        ("model=bytedance/seedance-2.0/image-to-video", True),
        ("model=other", False),
        ("tenant_id={tenant}&metadata=order%3D7", True),
        ("tenant_id={tenant}&metadata=order%3D8", False),
        ("tenant_id={tenant}&end_user_id=ann", True),
        ("tenant_id={tenant}&end_user_id=bob", False),
        ("fal_request_id=none", False),
        ("created_before=2020-01-01T00:00:00Z", False),
        ("created_after=2020-01-01T00:00:00%2B00:00", True),
    ],
)
async def test_generations_are_filtered(
    admin: Browser, api: httpx.AsyncClient, created: str, query: str, *, is_found: bool
) -> None:
    page = await admin.get(f"{LIST}?{query.format(tenant=await tenant_of(api))}")

    assert page.status_code == 200
    assert (created in page.text) == is_found


@pytest.mark.parametrize(
    "query", ["id=x", "status=x", "error_code=x", "metadata=a%3Db", "created_after=1", "end_user_id=ann"]
)
async def test_generations_refuse_a_wrong_filter(admin: Browser, query: str) -> None:
    page = await admin.client.get(f"{LIST}?{query}")

    assert page.status_code == 422
    assert "/query/" in page.text


async def test_generation_is_found_by_its_id(admin: Browser, created: str) -> None:
    page = await admin.get(f"{LIST}?id={created}")

    assert page.url.path == f"{LIST}/{created}"
    assert "a &lt;b&gt;cat&lt;/b&gt;" in page.text
    assert "hold" in page.text


async def test_generation_read_is_recorded(
    admin: Browser, api: httpx.AsyncClient, runtime: Runtime, created: str
) -> None:
    await admin.get(f"{LIST}/{created}")

    (entry,) = [each for each in await entries(runtime) if each.action == "read_any_generation"]
    assert (entry.target, entry.tenant_id) == (created, await tenant_of(api))


async def test_generation_is_canceled_with_a_reason(
    admin: Browser, api: httpx.AsyncClient, runtime: Runtime, created: str
) -> None:
    assert "Cancel the generation" in (await admin.get(f"{LIST}/{created}/cancel")).text

    answer = await admin.post(f"{LIST}/{created}/cancel", reason="a duplicate")

    assert (answer.status_code, answer.headers["location"]) == (303, f"{LIST}/{created}")
    assert (await api.get(f"/v1/generations/{created}")).json()["status"] == "canceled"
    assert [(e.action, e.reason) for e in await entries(runtime)][-1] == ("cancel_any_generation", "a duplicate")


async def test_selection_leads_to_the_preview_of_a_cancel(admin: Browser, created: str) -> None:
    page = await admin.get(f"/console/oncall/bulk/preview?kind=cancel&id={created}")

    assert "Cancel 1" in page.text


async def test_trail_page_shows_and_filters_acts(admin: Browser, app: FastAPI) -> None:
    await app.state.runtime.operators.service.create("Ada", Role.VIEWER)
    await admin.post("/console/oncall/pause", reason="a <i>drill</i>")

    page = await admin.get("/console/oncall/trail")
    assert "pause_dispatch" in page.text
    assert "a &lt;i&gt;drill&lt;/i&gt;" in page.text
    assert "drill" not in (await admin.get("/console/oncall/trail?outcome=failed")).text
    assert (await admin.client.get("/console/oncall/trail?outcome=x")).status_code == 422
