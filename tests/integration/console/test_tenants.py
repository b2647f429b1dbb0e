"""Tenants and queues: the list, one tenant, and the actions on it."""

import pytest
from fastapi import FastAPI

from service.domain.operator import Role
from service.domain.tenant import Limits, Tenant
from service.runtime import Runtime
from tests.support.console import Browser, browser_of, operator_subject

LIST = "/console/oncall/tenants"


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


async def reloaded(runtime: Runtime, tenant: Tenant) -> Tenant:
    found: Tenant = await runtime.tenants.service.get(tenant.id)
    return found


async def test_tenants_are_listed_by_page(admin: Browser, runtime: Runtime) -> None:
    made = [await runtime.tenants.service.create(f"shop {number}", Limits(weight=7)) for number in range(52)]
    page = await admin.get(LIST)
    assert {each.id for each in made if each.id in page.text} == set(sorted(each.id for each in made)[:50])
    following = page.text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    page = await admin.get(following)
    assert len([each for each in made if each.id in page.text]) == 2
    assert 'rel="next"' not in page.text


async def test_tenant_is_found_by_id(admin: Browser, tenant: Tenant) -> None:
    assert str((await admin.get(f"{LIST}?id={tenant.id}")).url).endswith(f"/oncall/tenants/{tenant.id}")
    assert "This is not the id of a tenant." in (await admin.get(f"{LIST}?id=acme")).text
    assert (await admin.get(f"{LIST}/ten_unknown")).status_code == 404


async def test_empty_list_names_the_command(admin: Browser) -> None:
    assert "tenants create" in (await admin.get(LIST)).text


async def test_actions_change_one_state_each(admin: Browser, runtime: Runtime, tenant: Tenant) -> None:
    states = []
    for action in ("pause", "suspend", "unpause", "unsuspend"):
        assert (await admin.get(f"{LIST}/{tenant.id}/{action}")).status_code == 200
        answer = await admin.post(f"{LIST}/{tenant.id}/{action}", reason=f"why <b>{action}</b>")
        assert (answer.status_code, answer.headers["location"]) == (303, f"{LIST}/{tenant.id}")
        found = await reloaded(runtime, tenant)
        states.append((found.paused is not None, found.suspended))
        page = await admin.get(f"{LIST}/{tenant.id}")
        assert "<b>" not in page.text
    assert states == [(True, False), (True, True), (False, True), (False, False)]


async def test_tenant_page_shows_reasons_and_hold(admin: Browser, tenant: Tenant) -> None:
    await admin.post(f"{LIST}/{tenant.id}/pause", reason="a loop")
    page = await admin.get(f"{LIST}/{tenant.id}")
    for text in ("a loop", "tenant_paused", "Unpause", "Held back by"):
        assert text in page.text
    assert "a loop" in (await admin.get(LIST)).text


@pytest.mark.parametrize("action", ["pause", "unpause", "suspend", "unsuspend"])
async def test_action_needs_role_and_reason(
    app: FastAPI, admin: Browser, runtime: Runtime, tenant: Tenant, action: str
) -> None:
    before = await reloaded(runtime, tenant)
    assert (await admin.post(f"{LIST}/{tenant.id}/{action}")).status_code == 422
    async with browser_of(app, await operator_subject(app, Role.VIEWER)) as viewer:
        assert (await viewer.get(f"{LIST}/{tenant.id}")).status_code == 200
        assert (await viewer.get(f"{LIST}/{tenant.id}/{action}")).status_code == 403
        assert (await viewer.post(f"{LIST}/{tenant.id}/{action}", reason="x")).status_code == 403
    assert await reloaded(runtime, tenant) == before


async def test_unknown_action_is_no_page(admin: Browser, tenant: Tenant) -> None:
    assert (await admin.get(f"{LIST}/{tenant.id}/delete")).status_code == 404


async def test_names_are_escaped(admin: Browser, runtime: Runtime) -> None:
    tenant = await runtime.tenants.service.create("<script>alert(1)</script>")
    for path in (LIST, f"{LIST}/{tenant.id}", f"{LIST}/{tenant.id}/pause"):
        page = await admin.get(path)
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert(1)" in page.text
