"""A tenant registers, changes and deletes webhook endpoints, and rotates their secrets."""

import re
from typing import Any

import pytest
from fastapi import FastAPI

from service.domain.tenant import Tenant
from service.runtime import Runtime
from tests.integration.console.test_tenant_changes import confirmed, hidden
from tests.integration.console.test_trail import entries
from tests.support.console import Browser

LIST = "/console/tenant/endpoints"
URL = "http://127.0.0.1:9000/hook"
ON: dict[str, Any] = {"enabled": "yes", "ed25519": "no"}


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


async def test_endpoint_is_registered_changed_rotated_and_deleted(
    customer: Browser, app: FastAPI, runtime: Runtime, tenant: Tenant
) -> None:
    made = await confirmed(customer, LIST, url=URL, events="generation.failed", **ON)
    assert made.status_code == 200, made.text
    secret = re.search(r'value="(whsec_[^"]+)"', made.text)
    assert secret
    assert "no-transform" in made.headers["cache-control"]
    (endpoint,) = await runtime.webhooks.endpoints.list(tenant)
    own = f"{LIST}/{endpoint.id}"
    assert secret[1] in (await customer.get(f"{own}/secret")).text
    assert secret[1] not in (await customer.get(own)).text

    changed = await confirmed(customer, f"{own}/change", url=f"{URL}/2", events="generation.succeeded", **ON)
    assert changed.status_code == 303, changed.text
    assert (await runtime.webhooks.endpoints.get(tenant, endpoint.id)).url == f"{URL}/2"

    rotated = await confirmed(customer, f"{own}/rotate", overlap_seconds="60")
    assert rotated.status_code == 200, rotated.text
    assert len(re.findall(r'value="(whsec_[^"]+)"', rotated.text)) == 2

    assert "cannot be undone" in (await customer.get(f"{own}/delete")).text
    assert (await customer.post(f"{own}/delete", reason="moved")).status_code == 303
    assert await runtime.webhooks.endpoints.list(tenant) == []
    acts = [entry.action for entry in await entries(app)]
    assert acts[-4:] == [
        "create_webhook_endpoint",
        "change_webhook_endpoint",
        "rotate_webhook_secret",
        "delete_webhook_endpoint",
    ]
    assert secret[1] not in str(await entries(app))


async def test_reload_registers_no_second_endpoint(customer: Browser, runtime: Runtime, tenant: Tenant) -> None:
    preview = hidden((await customer.post(f"{LIST}/preview", url=URL, events="generation.failed", **ON)).text)
    del preview["csrf"]

    answers = [(await customer.post(LIST, reason="x", **preview)).status_code for _ in range(2)]

    assert answers == [200, 412]
    assert len(await runtime.webhooks.endpoints.list(tenant)) == 1


async def test_refused_endpoint_marks_its_field(customer: Browser) -> None:
    page = await customer.post(f"{LIST}/preview", url="ftp://x", description="y" * 501)

    assert page.status_code == 422
    for name in ("url", "events", "description"):
        assert f'id="fault-{name}"' in page.text
