"""Pages that ask for a confirmation: who is informed, who loses access, which money is released or charged."""

import re
from typing import Any

import pytest
from fastapi import FastAPI

from service.domain.tenant import Limits, Tenant
from service.domain.webhook import EventType
from service.domain.webhook_endpoint import Endpoint
from service.runtime import Runtime
from service.usecases.webhooks.endpoints import EndpointSpec
from service.usecases.webhooks.recipients import MOST_TENANTS, Recipients
from tests.support import factories
from tests.support.console import Browser
from tests.support.factories import Clock


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


@pytest.fixture
async def shop(runtime: Runtime) -> Tenant:
    """A tenant with four endpoints: two of one host receive all ends, one only successes, and one is disabled."""
    tenant = await runtime.tenants.service.create("shop", Limits(concurrent_generations=1))
    await _endpoint(runtime, tenant, "http://a.example/1")
    await _endpoint(runtime, tenant, "http://a.example/2")
    await _endpoint(runtime, tenant, "http://success.example/", EventType.SUCCEEDED)
    disabled = await _endpoint(runtime, tenant, "http://disabled.example/")
    await runtime.webhooks.endpoints.disable(tenant, disabled.id)
    return tenant


async def _endpoint(runtime: Runtime, tenant: Tenant, url: str, *events: EventType) -> Endpoint:
    wanted = events or (EventType.SUCCEEDED, EventType.FAILED, EventType.CANCELED)
    spec = EndpointSpec(url=url, events=wanted, description="", headers=None, ed25519=False, enabled=True)
    return await runtime.webhooks.endpoints.create(tenant, spec)


async def _generation(runtime: Runtime, tenant: Tenant, **fields: Any) -> str:
    return (await runtime.generations.creator.create(tenant, factories.create_request(**fields))).generation.id


async def facts(browser: Browser, path: str) -> dict[str, str]:
    page = await browser.get(path)
    assert page.status_code == 200, page.text
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page.text))


async def test_cancel_names_receivers_and_money(admin: Browser, runtime: Runtime, shop: Tenant) -> None:
    generation_id = await _generation(runtime, shop, webhook_url="http://callback.example/")

    found = await facts(admin, f"/console/oncall/generations/{generation_id}/cancel")

    assert found["Informed"] == "3 receivers: a.example (2), callback.example"
    assert found["Released at once"] == found["Held"] != "–"


async def test_cancel_after_the_submit_may_be_billed(
    admin: Browser, runtime: Runtime, shop: Tenant, clock: Clock
) -> None:
    generation_id = await _generation(runtime, shop)
    for move in (lambda g: g.submitting(clock()), lambda g: g.submitted(factories.request_id())):
        await runtime.transitions.apply(generation_id, move)

    found = await facts(admin, f"/console/oncall/generations/{generation_id}/cancel")

    assert found["Informed"] == "2 receivers: a.example (2)"
    assert "Released at once" not in found
    assert "fal may bill" in found


async def test_bulk_cancel_names_receivers_of_some_tenants(admin: Browser, runtime: Runtime, shop: Tenant) -> None:
    names = [await _generation(runtime, shop) for _ in range(3)]
    others = [await runtime.tenants.service.create(f"shop {number}") for number in range(MOST_TENANTS + 1)]
    names += [await _generation(runtime, each) for each in others]

    found = await facts(admin, f"/console/oncall/bulk/preview?kind=cancel&id={'&id='.join(names)}")

    assert found["Informed"] == "2 receivers: a.example (2), and those of 2 more tenants"
    assert "webhook_url" in found["Also informed"]


async def test_suspension_counts_who_loses_access(admin: Browser, runtime: Runtime, shop: Tenant) -> None:
    for _ in range(2):
        await runtime.tenants.api_keys.create(shop.id)

    found = await facts(admin, f"/console/oncall/tenants/{shop.id}/suspend")

    assert found["Loses access"] == "2 API keys and 0 trusted issuers"
    assert "GET /v1/me" in found["Informed"]


@pytest.mark.parametrize("action", ["drain", "pause", "resume"])
async def test_action_on_dispatch_says_who_is_informed(admin: Browser, action: str) -> None:
    assert (await facts(admin, f"/console/oncall/{action}"))["Informed"].startswith("no receiver of webhooks")


async def test_desk_shows_released_money_and_receivers(
    admin: Browser, runtime: Runtime, shop: Tenant, clock: Clock
) -> None:
    generation_id = await _generation(runtime, shop)
    await runtime.transitions.apply(generation_id, lambda g: g.submitting(clock()))
    await runtime.transitions.apply(generation_id, lambda g: g.unconfirmed())

    found = await facts(admin, f"/console/oncall/unconfirmed/{generation_id}")

    assert found["Informed of the failure"] == "2 receivers: a.example (2)"
    assert found["Released"] == found["Held"]


@pytest.mark.parametrize(
    ("recipients", "summary"),
    [
        (Recipients(), "no receiver: no endpoint subscribes to the event"),
        (Recipients((), 3), "no receiver, and those of 3 more tenants"),
        (Recipients(["http://a/"]), "1 receiver: a"),
        (Recipients([f"http://h{n}/" for n in range(7)]), "7 receivers: h0, h1, h2, h3, h4 and 2 more hosts"),
    ],
)
def test_summary_is_bounded(recipients: Recipients, summary: str) -> None:
    assert recipients.summary == summary
