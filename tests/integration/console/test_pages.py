"""Every page, with hostile texts in everything that a tenant controls: nothing is markup, and Redis has little to do.

The fixture ``values`` has the parameters of paths. Without a value there, a page is only read for something unknown.
"""

import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.domain.actor import ActorKind
from service.domain.console_session import Subject
from service.store.redis.client import Redis
from tests.support.console import ADMIN, browser_of, session_routes
from tests.support.factories import create_body

HOSTILE = "\"'><img src=x onerror=alert(1)></script><script>alert(2)</script>{{7*7}}"
#: Parts of the text that a page must not have: it would be markup, or a template.
MARKUP = ("<img src=x", "<script>alert", "script&gt;49")
PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
#: Commands that a page may send to Redis, the session included.
MOST_COMMANDS = 30


@pytest.fixture
async def values(app: FastAPI) -> dict[str, str]:
    """Make one of each thing that pages show, with hostile texts. Return a value for each parameter of paths."""
    tenants = app.state.runtime.tenants
    tenant = await tenants.service.create(HOSTILE)
    key = await tenants.api_keys.create(tenant.id, name=HOSTILE)
    transport = httpx.ASGITransport(app)
    headers = {"authorization": f"Bearer {key.text}"}
    async with httpx.AsyncClient(transport=transport, base_url="https://gateway.test", headers=headers) as client:
        body = create_body(prompt=HOSTILE, end_user_id=HOSTILE, metadata={"order": HOSTILE})
        g = await client.post("/v1/generations", json=body)
        assert g.status_code == 202, g.text
        hook = {"url": "http://127.0.0.1:9000/hook?<script>", "description": HOSTILE}
        endpoint = await client.post("/v1/webhook-endpoints", json=hook)
        assert endpoint.status_code == 201, endpoint.text
    await tenants.service.pause(tenant.id, HOSTILE)
    return {
        "tenant_id": tenant.id,
        "key_id": key.key.id,
        "generation_id": g.json()["id"],
        "endpoint_id": endpoint.json()["id"],
        "end_user_id": "nobody",
        "delivery_id": "del_x",
        "bulk_job_id": "blk_x",
        "section": "account-locked",
        "path": "nowhere",
    }


@pytest.mark.parametrize("who", ["operator", "tenant"])
async def test_pages_escape_hostile_texts_within_their_budget(
    app: FastAPI, values: dict[str, str], monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    sent: list[Any] = []
    enqueue = Redis._enqueue

    def counted(self: Redis, command: Any, **options: Any) -> Any:
        sent.append(command)
        return enqueue(self, command, **options)

    monkeypatch.setattr(Redis, "_enqueue", counted)
    subject = ADMIN if who == "operator" else Subject(ActorKind.API_KEY, values["key_id"])
    shown = 0
    async with browser_of(app, subject) as browser:
        for route in (each for each in session_routes(app) if each.method == "GET"):
            path = PARAMETER.sub(lambda found: values.get(found[1], "x"), route.path)
            await browser.get(path)  # compiles the template, and loads scripts
            sent.clear()
            page = await browser.client.get(path)
            assert page.status_code < 500, path
            assert len(sent) <= MOST_COMMANDS, (path, [command[:2] for command in sent])
            if page.headers.get("content-type", "").startswith("text/csv"):  # downloaded, and never shown as a page
                assert "attachment" in page.headers["content-disposition"], path
                continue
            assert not [mark for mark in MARKUP if mark in page.text], path
            shown += "&lt;img src=x onerror=alert(1)&gt;" in page.text
    assert shown or who == "operator", "the texts are on no page: nothing was tested"
