"""The desk for unconfirmed submits: the evidence, the two decisions, and generations that were paid and lost."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from service.config.settings import Settings
from service.domain.callback import Callback
from service.domain.generation import Generation
from service.domain.operator import Role
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.runtime import Runtime
from tests.support import factories, unconfirmed
from tests.support.console import Browser, browser_of, operator_subject
from tests.support.unconfirmed import finished, given_up_as_lost, reasons
from tests.support.waiting import stored

LIST = "/console/oncall/unconfirmed"
LOST = "/console/oncall/paid-and-lost"


@pytest.fixture
def changes() -> dict[str, Any]:
    return {"fal_admin_key": SecretStr("admin:key")}


@pytest.fixture
def settings(redis_url: str, sandbox_url: str, changes: dict[str, Any]) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url, **changes)


@pytest.fixture(autouse=True)
async def fal(sandbox_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=sandbox_url) as client:
        (await client.post("/_sandbox/reset")).raise_for_status()
        yield client
        (await client.delete("/_sandbox/faults")).raise_for_status()


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


@pytest.fixture
async def lost(runtime: Runtime, tenant: Tenant) -> Generation:
    return await unconfirmed.unconfirmed(runtime, tenant, end_user_id="customer-7")


async def test_unconfirmed_are_listed_with_their_deadline(admin: Browser, lost: Generation) -> None:
    page = await admin.get(LIST)
    assert lost.id in page.text
    assert lost.tenant_id in page.text
    assert "1 in all" in page.text


async def test_lists_without_entries_say_so(admin: Browser) -> None:
    assert "No submit is unconfirmed." in (await admin.get(LIST)).text
    assert "No generation was paid and lost." in (await admin.get(LOST)).text


async def test_desk_shows_intent_bill_and_callback(admin: Browser, lost: Generation, sandbox_url: str) -> None:
    (job,) = await finished(sandbox_url)
    page = await admin.get(f"{LIST}/{lost.id}")
    assert page.status_code == 200
    assert lost.input["prompt"] in page.text
    assert "fal has not called back." in page.text
    assert job["request_id"] in page.text, "the billing event of those minutes"
    assert f'?request_id={job["request_id"]}#adopt">no generation: use this id' in page.text
    page = await admin.get(f"{LIST}/{lost.id}?request_id={job['request_id']}")
    assert f'value="{job["request_id"]}"' in page.text


@pytest.mark.parametrize("changes", [{}], ids=["no_admin_key"])
async def test_desk_without_an_admin_key_says_so(admin: Browser, lost: Generation) -> None:
    assert "GATEWAY_FAL_ADMIN_KEY is not set" in (await admin.get(f"{LIST}/{lost.id}")).text


async def test_desk_with_fals_bill_away_still_decides(admin: Browser, lost: Generation, fal: httpx.AsyncClient) -> None:
    await fal.put("/_sandbox/faults", json={"billing": {"kind": "status", "status": 500}})
    page = await admin.get(f"{LIST}/{lost.id}")
    assert page.status_code == 200
    assert "It never happened" in page.text


async def test_adopt_follows_the_request(runtime: Runtime, admin: Browser, lost: Generation, sandbox_url: str) -> None:
    (job,) = await finished(sandbox_url)
    answer = await admin.post(f"{LIST}/{lost.id}/adopt", request_id=job["request_id"], reason="in fal's bill")
    assert (answer.status_code, answer.headers["location"]) == (303, LIST)
    g = await stored(runtime, lost)
    assert (g.status, g.request_id) == (Status.SUBMITTED, job["request_id"])
    assert await reasons(runtime, lost) == ["in fal's bill"]
    assert "is followed as" in (await admin.get(LIST)).text


async def test_dismiss_fails_the_generation_at_no_cost(runtime: Runtime, admin: Browser, lost: Generation) -> None:
    answer = await admin.post(f"{LIST}/{lost.id}/dismiss", reason="not in fal's dashboard")
    assert answer.status_code == 303
    assert (await stored(runtime, lost)).status is Status.FAILED
    assert (await runtime.operations.audit.run()).clean
    again = await admin.post(f"{LIST}/{lost.id}/dismiss", reason="again")
    assert again.status_code == 409
    assert (await admin.get(f"{LIST}/{lost.id}")).status_code == 409


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("adopt", {"request_id": "req-1"}, 422),
        ("adopt", {"request_id": "", "reason": "x"}, 422),
        ("adopt", {"request_id": "../etc", "reason": "x"}, 422),
        ("adopt", {"request_id": "no-such-request", "reason": "x"}, 422),
        ("dismiss", {}, 422),
        ("dismiss", {"reason": " "}, 422),
        ("dismiss", {"reason": "x" * 501}, 422),
    ],
)
async def test_decision_without_reason_or_request_changes_nothing(
    runtime: Runtime, admin: Browser, lost: Generation, path: str, fields: dict[str, Any], status: int
) -> None:
    answer = await admin.post(f"{LIST}/{lost.id}/{path}", **fields)
    assert answer.status_code == status
    assert (await stored(runtime, lost)).status is Status.UNCONFIRMED


async def test_viewer_reads_the_list_and_no_prompt(app: FastAPI, runtime: Runtime, lost: Generation) -> None:
    async with browser_of(app, await operator_subject(app, Role.VIEWER)) as viewer:
        page = await viewer.get(LIST)
        assert lost.id in page.text
        assert lost.input["prompt"] not in page.text
        assert (await viewer.get(f"{LIST}/{lost.id}")).status_code == 403
        answer = await viewer.post(f"{LIST}/{lost.id}/dismiss", reason="x")
        assert answer.status_code == 403
    assert (await stored(runtime, lost)).status is Status.UNCONFIRMED


async def test_desk_and_decisions_are_in_the_trail(app: FastAPI, admin: Browser, lost: Generation) -> None:
    await admin.get(f"{LIST}/{lost.id}")
    await admin.post(f"{LIST}/{lost.id}/dismiss", reason="not in fal's dashboard")
    entries = {each.action: each async for each in _entries(app)}
    assert entries["show_desk"].target == entries["dismiss_unconfirmed"].target == lost.id
    assert entries["dismiss_unconfirmed"].reason == "not in fal's dashboard"
    assert entries["dismiss_unconfirmed"].tenant_id == lost.tenant_id


async def test_prompt_is_escaped(admin: Browser, runtime: Runtime, tenant: Tenant) -> None:
    g = await unconfirmed.unconfirmed(runtime, tenant, "sandbox:lost-answer <script>alert(1)</script>")
    page = await admin.get(f"{LIST}/{g.id}")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "<script>alert" not in page.text


async def test_revive_follows_a_lost_generation(
    runtime: Runtime, admin: Browser, tenant: Tenant, clock: factories.Clock
) -> None:
    g = await given_up_as_lost(runtime, tenant, clock)
    await runtime.operations.unconfirmed.dismiss(g.id, "not in fal's dashboard")
    await runtime.stores.callbacks.receive(g.id, g.callback_token, Callback("request-1"), now=clock())
    page = await admin.get(LOST)
    assert g.id in page.text
    assert "Its tenant receives the webhook" in (await admin.get(f"{LOST}/{g.id}/revive")).text
    assert (await admin.post(f"{LOST}/{g.id}/revive", reason="x", request_id="a b")).status_code == 422
    answer = await admin.post(f"{LOST}/{g.id}/revive", reason="fal has the video")
    assert answer.status_code == 303
    assert not (await stored(runtime, g)).is_terminal
    assert "is followed again." in (await admin.get(LOST)).text


async def _entries(app: FastAPI) -> AsyncIterator[Any]:
    async for step in app.state.runtime.stores.trail_reader.links():
        for link in step:
            yield link.load()
