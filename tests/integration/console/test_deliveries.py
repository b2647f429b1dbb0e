"""Deliveries of all tenants and failing receivers in the console."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI

from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from tests.support.console import ADMIN, Browser, browser_of
from tests.support.factories import Clock
from tests.support.trail import entries
from tests.support.waiting import process_due

LIST = "/console/oncall/deliveries"


@pytest.fixture
async def dead(api: httpx.AsyncClient, runtime: Runtime, clock: Clock) -> str:
    """Return a test event of an endpoint without a server, after all attempts."""
    endpoint = (await api.post("/v1/webhook-endpoints", json={"url": "http://127.0.0.1:9000/hook"})).json()
    sent = (await api.post(f"/v1/webhook-endpoints/{endpoint['id']}/test")).json()
    for _ in range(12):
        await process_due(runtime, WorkQueue.DELIVER)
        clock.advance(timedelta(hours=12))
    assert (await api.get(f"/v1/deliveries/{sent['id']}")).json()["status"] == "dead"
    found: str = sent["id"]
    return found


@pytest.fixture
async def admin(app: FastAPI, dead: str) -> AsyncIterator[Browser]:
    """Return a browser that logs in after the days in which the delivery died."""
    assert dead
    async with browser_of(app, ADMIN) as opened:
        yield opened


async def test_dead_letters_of_all_tenants_are_listed(admin: Browser, api: httpx.AsyncClient, dead: str) -> None:
    tenant_id = (await api.get("/v1/me")).json()["tenant"]["id"]

    assert dead in (await admin.get(LIST)).text
    assert dead in (await admin.get(f"{LIST}?tenant_id={tenant_id}&status=dead")).text
    assert dead not in (await admin.get(f"{LIST}?tenant_id={tenant_id}&status=pending")).text
    assert (await admin.client.get(f"{LIST}?status=x")).status_code == 422


async def test_delivery_shows_attempts_and_is_replayed(
    admin: Browser, api: httpx.AsyncClient, runtime: Runtime, dead: str
) -> None:
    page = await admin.get(f"{LIST}/{dead}")
    assert "connect" in page.text
    assert "Send it again" in (await admin.get(f"{LIST}/{dead}/replay")).text

    refused = await admin.post(f"{LIST}/{dead}/replay")
    answer = await admin.post(f"{LIST}/{dead}/replay", reason="the receiver is repaired")

    assert (refused.status_code, answer.status_code) == (422, 303)
    assert (await api.get(f"/v1/deliveries/{dead}")).json()["status"] == "pending"
    assert (await entries(runtime))[-1].action == "replay_delivery"


async def test_failing_receiver_is_listed(admin: Browser) -> None:
    page = await admin.get("/console/oncall/receivers")

    assert "http://127.0.0.1:9000/hook" in page.text
