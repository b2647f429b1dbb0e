"""Changes of a tenant by an admin: limits and budgets, keys, trusted issuers, and adjustments of costs."""

import html
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI

from service.api.admin.limits_schemas import LimitsBody, limits_view
from service.domain.operator import Role
from service.domain.tenant import Limits, Tenant
from service.domain.trail import Entry, Outcome
from service.runtime import Runtime
from tests.integration.console.test_trail import entries
from tests.support.console import Browser, browser_of, operator_subject, session_routes

LIST = "/console/oncall/tenants"
_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')
#: A value for each field of the form, and the value of the API that it means.
VALUES: dict[str, tuple[str, Any]] = {
    "requests_per_minute": ("600", 600),
    "burst": ("20", 20),
    "queued_generations": ("0", 0),
    "daily_generations": ("1000", 1000),
    "daily_new_end_users": ("30", 30),
    "stored_deliveries": ("500", 500),
    "undelivered_tests": ("3", 3),
    "webhook_endpoints": ("5", 5),
    "concurrent_generations": ("4", 4),
    "weight": ("9", 9),
    "models": ("fal-ai/some/model, fal-ai/other/x", ["fal-ai/some/model", "fal-ai/other/x"]),
    "references": ("0", 0),
    "resolutions": ("720p", ["720p"]),
    "durations": ("5, 10", ["5", "10"]),
    "monthly_budget_usd": ("12.50", "12.500000"),
    "end_user_daily_budget_usd": ("1", "1.000000"),
    "end_user_daily_count": ("7", 7),
    "retention_seconds": ("3600", 3600),
    "webhook_url": ("http://127.0.0.1:9000/hook", "http://127.0.0.1:9000/hook"),
}


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


def hidden(page: str) -> dict[str, Any]:
    """Return the hidden fields of the last form of a page."""
    form = page.rpartition("<form")[2]
    return {html.unescape(name): html.unescape(value) for name, value in _HIDDEN.findall(form)}


async def confirmed(browser: Browser, path: str, **fields: Any) -> Any:
    """Send the form of a preview, and then what the preview shows. Return the answer of the action."""
    preview = await browser.post(f"{path}/preview", **fields)
    assert preview.status_code == 200, preview.text
    given = {name: value for name, value in hidden(preview.text).items() if name != "csrf"}
    return await browser.post(path, reason="a drill", **given)


async def last_entry(app: FastAPI) -> Entry:
    return (await entries(app))[-1]


def test_every_limit_has_a_value_here() -> None:
    assert VALUES.keys() == LimitsBody.model_fields.keys()


async def test_every_limit_is_set_and_removed_by_the_form(
    admin: Browser, app: FastAPI, runtime: Runtime, tenant: Tenant
) -> None:
    path = f"{LIST}/{tenant.id}/limits"
    form = (await admin.get(path)).text
    assert not [name for name in VALUES if f'name="{name}"' not in form]

    answer = await confirmed(admin, path, **{name: text for name, (text, _) in VALUES.items()})

    assert answer.status_code == 303, answer.text
    found = await runtime.tenants.service.get(tenant.id)
    assert dict(limits_view(found.limits)) == {name: value for name, (_, value) in VALUES.items()}
    (entry,) = [each for each in await entries(app) if each.action == "change_tenant"]
    assert (entry.target, entry.outcome, entry.reason) == (tenant.id, Outcome.DONE, "a drill")
    assert len(entry.changes) == len(VALUES)
    refused = await admin.post(f"{path}/preview", weight="")
    assert 'id="fault-weight"' in refused.text
    assert (await confirmed(admin, path, **{name: "" for name in VALUES if name != "weight"})).status_code == 303
    assert (await runtime.tenants.service.get(tenant.id)).limits == Limits(weight=9)


async def test_preview_shows_before_after_and_who_is_concerned(
    admin: Browser, runtime: Runtime, tenant: Tenant
) -> None:
    await runtime.tenants.service.update(tenant.id, lambda t: _with(t, Limits(monthly_budget=2_000_000)))

    page = await admin.post(f"{LIST}/{tenant.id}/limits/preview", monthly_budget_usd="0.5", name=tenant.name)

    row = re.search(r'<th scope="row">Monthly budget \(US dollars\)</th>(.*?)</tr>', page.text)
    assert row
    assert re.findall(r'<td class="text">([^<]*)</td>', row[1]) == ["2.000000", "0.500000"]
    assert page.text.count('<tr><th scope="row">') == 1, "a field that stays is not in the table"
    assert "no webhook is sent" in page.text
    assert 'name="reason"' in page.text


REFUSED: list[dict[str, Any]] = [
    {"weight": "1001"},
    {"weight": "many"},
    {"weight": "9" * 5000},
    {"monthly_budget_usd": "-1"},
    {"models": "a b <script>"},
    {"webhook_url": "not a url"},
    {"name": "x" * 101},
]


async def test_refused_field_is_marked_and_keeps_its_text(admin: Browser, runtime: Runtime, tenant: Tenant) -> None:
    for given in REFUSED:
        ((field, text),) = given.items()
        page = await admin.post(f"{LIST}/{tenant.id}/limits/preview", **given)

        assert page.status_code == 422, field
        assert f'id="fault-{field}"' in page.text
        assert html.escape(text) in page.text
    assert await runtime.tenants.service.get(tenant.id) == tenant


async def test_form_without_a_change_has_no_preview(admin: Browser, tenant: Tenant) -> None:
    page = await admin.post(f"{LIST}/{tenant.id}/limits/preview", name=tenant.name)

    assert page.status_code == 422
    assert "nothing differs" in page.text


async def test_change_after_another_change_is_refused(admin: Browser, runtime: Runtime, tenant: Tenant) -> None:
    preview = hidden((await admin.post(f"{LIST}/{tenant.id}/limits/preview", weight="5")).text)
    await runtime.tenants.service.update(tenant.id, lambda t: _with(t, Limits(weight=7)))

    answer = await admin.post(
        f"{LIST}/{tenant.id}/limits", reason="x", body=preview["body"], version=preview["version"]
    )

    assert answer.status_code == 412
    assert (await runtime.tenants.service.get(tenant.id)).limits.weight == 7


async def test_change_without_a_preview_is_refused(admin: Browser, tenant: Tenant) -> None:
    cases: list[dict[str, Any]] = [{}, {"version": "x"}, {"version": "1", "body": "["}, {"version": "9" * 5000}]
    for fields in cases:
        answer = await admin.post(f"{LIST}/{tenant.id}/limits", reason="x", **fields)

        assert answer.status_code in (400, 422), fields


async def test_previews_change_and_record_nothing(
    admin: Browser, app: FastAPI, runtime: Runtime, tenant: Tenant
) -> None:
    before = len(await entries(app))
    keys = await runtime.tenants.api_keys.of_tenant(tenant.id)
    for route in session_routes(app):
        if route.path.endswith("/preview") and route.method == "POST":
            path = re.sub(r"\{tenant_id\}", tenant.id, route.path)
            await admin.post(re.sub(r"\{\w+\}", keys[0][0].id if keys else "x", path), weight="3", scopes="read")

    assert len(await entries(app)) == before
    assert await runtime.tenants.api_keys.of_tenant(tenant.id) == keys
    assert await runtime.tenants.service.get(tenant.id) == tenant


async def test_key_is_created_shown_once_and_works(
    admin: Browser, app: FastAPI, runtime: Runtime, tenant: Tenant
) -> None:
    answer = await confirmed(admin, f"{LIST}/{tenant.id}/keys", name="<b>ci</b>", scopes="read")

    assert answer.status_code == 200
    text = re.search(r'value="(sgk_[^"]+)"', answer.text)
    assert text
    assert "no-transform" in answer.headers["cache-control"]
    assert "<b>" not in answer.text
    caller = await admin.client.get("/v1/me", headers={"authorization": f"Bearer {text[1]}"})
    assert caller.status_code == 200
    assert text[1] not in (await admin.get(f"{LIST}/{tenant.id}/keys")).text
    entry = await last_entry(app)
    assert (entry.action, entry.tenant_id, entry.changes["scopes"][1]) == ("create_api_key", tenant.id, ["read"])
    assert text[1] not in str(entry)


async def test_reload_of_the_created_key_creates_no_second(admin: Browser, runtime: Runtime, tenant: Tenant) -> None:
    path = f"{LIST}/{tenant.id}/keys"
    given = hidden((await admin.post(f"{path}/preview", scopes="read")).text)
    fields: dict[str, Any] = {"reason": "x", "body": given["body"], "newest": given["newest"]}
    before = len(await runtime.tenants.api_keys.of_tenant(tenant.id))

    answers = [(await admin.post(path, **fields)).status_code for _ in range(2)]

    assert answers == [200, 412]
    assert len(await runtime.tenants.api_keys.of_tenant(tenant.id)) == before + 1


async def test_refused_key_has_no_preview(admin: Browser, tenant: Tenant) -> None:
    cases: list[dict[str, Any]] = [{"scopes": ""}, {"scopes": "all"}, {"scopes": "read", "expires_at": "tomorrow"}]
    for fields in cases:
        page = await admin.post(f"{LIST}/{tenant.id}/keys/preview", **fields)

        assert page.status_code == 422, fields
        assert 'class="fault"' in page.text
    assert (await admin.post(f"{LIST}/{tenant.id}/keys/preview")).status_code == 422


async def test_key_is_rotated_with_the_overlap(admin: Browser, app: FastAPI, runtime: Runtime, tenant: Tenant) -> None:
    old = (await runtime.tenants.api_keys.create(tenant.id, name="old")).key
    own = f"{LIST}/{tenant.id}/keys/{old.id}/rotate"
    assert 'value="86400"' in (await admin.get(own)).text
    assert (await admin.post(f"{own}/preview", overlap_seconds="a day")).status_code == 422

    answer = await confirmed(admin, own, overlap_seconds="60")

    assert answer.status_code == 200
    assert "sgk_" in answer.text
    found = {key.id: key for key, _ in await runtime.tenants.api_keys.of_tenant(tenant.id)}
    assert found[old.id].expires_at is not None
    assert (await last_entry(app)).action == "rotate_api_key"


async def test_revocation_says_who_loses_access(admin: Browser, app: FastAPI, runtime: Runtime, tenant: Tenant) -> None:
    for key, _ in await runtime.tenants.api_keys.of_tenant(tenant.id):
        await runtime.tenants.api_keys.revoke(tenant.id, key.id)
    key = (await runtime.tenants.api_keys.create(tenant.id, name="only")).key
    own = f"{LIST}/{tenant.id}/keys/{key.id}/revoke"
    assert "every client of the tenant" in (await admin.get(own)).text

    assert (await admin.post(own)).status_code == 422, "a reason is required"
    assert (await admin.post(own, reason="leaked")).status_code == 303

    assert not [k for k, _ in await runtime.tenants.api_keys.of_tenant(tenant.id) if k.is_valid(runtime.clock())]
    assert (await last_entry(app)).reason == "leaked"


async def test_issuer_is_trusted_listed_and_removed(admin: Browser, app: FastAPI, tenant: Tenant) -> None:
    path = f"{LIST}/{tenant.id}/issuers"
    jwk = {"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    fields: dict[str, Any] = {
        "issuer": "https://idp.example",
        "audience": "video",
        "subject": "svc-*",
        "scopes": "read",
    }
    assert (await admin.post(f"{path}/preview", jwks="{", **fields)).status_code == 422
    assert (await admin.post(f"{path}/preview", **fields)).status_code == 422, "neither jwks nor jwks_url"

    answer = await confirmed(admin, path, jwks=json.dumps({"keys": [jwk]}), claims='{"env": "prod"}', **fields)

    assert answer.status_code == 303, answer.text
    page = (await admin.get(path)).text
    assert "https://idp.example" in page
    assert (await last_entry(app)).changes["issuer"] == (None, "https://idp.example")
    remove = re.search(rf'href="({path}/iss_\w+/remove)"', page)
    assert remove
    assert "within a second" in (await admin.get(remove[1])).text
    assert (await admin.post(remove[1], reason="gone")).status_code == 303
    assert "The tenant trusts no issuer" in (await admin.get(path)).text


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
async def test_lower_role_reads_keys_and_has_no_buttons(app: FastAPI, tenant: Tenant, role: Role) -> None:
    async with browser_of(app, await operator_subject(app, role)) as browser:
        for name in ("keys", "issuers"):
            page = await browser.get(f"{LIST}/{tenant.id}/{name}")
            assert page.status_code == 200
            assert f"{name}/new" not in page.text
        assert "/limits" not in (await browser.get(f"{LIST}/{tenant.id}")).text


def _with(tenant: Tenant, limits: Limits) -> Tenant:
    return replace(tenant, limits=limits)
