"""A stream ticket opens the events of one generation, for a minute, and nothing else."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.tenant import Limits, Scope, Tenant
from service.runtime import Runtime
from service.usecases.tenants.access_tickets import LIFETIMES, TicketUse
from service.usecases.tenants.caller import CredentialRef
from tests.conftest import Connect, client_of
from tests.support import factories
from tests.support.factories import Clock, create_body
from tests.support.void_keys import make_void
from tests.support.waiting import until

PAGE = "https://app.example"
PUBLIC = "https://gateway.example/base"


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, public_url=PUBLIC, cors_origins=(PAGE,))


async def created(client: httpx.AsyncClient, *, ended: bool = True) -> str:
    """Return the id of a generation. The stream of one that has ended needs no reader."""
    name = (await client.post("/v1/generations", json=create_body())).json()["id"]
    if ended:
        await client.post(f"/v1/generations/{name}/cancel")
    return str(name)


async def issued(client: httpx.AsyncClient, name: str) -> dict[str, Any]:
    answer = await client.post(f"/v1/generations/{name}/stream-tickets")
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def local(ticket: dict[str, Any]) -> str:
    assert ticket["url"].startswith(f"{PUBLIC}/v1/generations/")
    return str(ticket["url"]).removeprefix(PUBLIC)


async def test_stream_ticket_opens_events_without_key(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient, clock: Clock
) -> None:
    ticket = await issued(api, await created(api))
    assert datetime.fromisoformat(ticket["expires_at"]) == clock() + timedelta(seconds=60)
    for _ in range(2):  # a browser reconnects
        answer = await anonymous.get(local(ticket), headers={"accept": "text/event-stream"})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
        assert '"status":"canceled"' in answer.text


async def test_stream_ticket_query_is_strict(api: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    url = local(await issued(api, await created(api)))
    for more, kind in (("&x=1", "extra_forbidden"), (f"&{url.partition('?')[2]}", "repeated")):
        answer = await anonymous.get(url + more)
        assert (answer.status_code, answer.json()["errors"][0]["type"]) == (422, kind)


async def test_stream_ticket_is_of_own_generations_only(api: httpx.AsyncClient, other_api: httpx.AsyncClient) -> None:
    name = await created(api)
    for client, target in ((other_api, name), (api, "gen_00000000000000000000000000"), (api, "x")):
        assert (await client.post(f"/v1/generations/{target}/stream-tickets")).status_code == 404


async def test_stream_ticket_needs_scope(connect: Connect, tenant: Tenant, api: httpx.AsyncClient) -> None:
    name = await created(api)
    maker, reader = [await connect(tenant, scopes=(scope,)) for scope in (Scope.GENERATE, Scope.READ)]
    assert (await maker.post(f"/v1/generations/{name}/stream-tickets")).status_code == 403
    assert (await reader.post(f"/v1/generations/{name}/stream-tickets")).status_code == 201


async def test_stream_ticket_of_other_purpose_is_refused(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, anonymous: httpx.AsyncClient, runtime: Runtime, tenant: Tenant
) -> None:
    name, other, foreign = await created(api), await created(api), await created(other_api)
    own = (await issued(api, name))["ticket"]
    key = CredentialRef((await runtime.tenants.api_keys.of_tenant(tenant.id))[0][0].id)
    tickets = runtime.tenants.access_tickets
    refused = {
        "empty": "",
        "no ticket": "x",
        "prefix": "sgt_",
        "long": "sgt_" + "A" * 5000,
        "non-ASCII": "sgt_é",
        "other generation": (await issued(api, other))["ticket"],
        "other tenant": (await issued(other_api, foreign))["ticket"],
        "own key, foreign generation": tickets.issue(TicketUse.STREAM, key, foreign)[0],
        "upload token": tickets.issue(TicketUse.UPLOAD, key)[0],
        "upload token with the subject": tickets.issue(TicketUse.UPLOAD, key, name)[0],
        "unknown key": tickets.issue(TicketUse.STREAM, CredentialRef("x" * 12), name)[0],
        "shortened": own[:-2],
        "without prefix": own[4:],
        "upper case": own.upper(),
        **{f"changed at {n}": own[:n] + ("A" if own[n] != "A" else "B") + own[n + 1 :] for n in (5, 20, 60, 120)},
    }
    for how, ticket in refused.items():
        answer = await anonymous.get(f"/v1/generations/{name}/events", params={"ticket": ticket})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), how
    foreign_by_own_key = await anonymous.get(
        f"/v1/generations/{foreign}/events", params={"ticket": refused["own key, foreign generation"]}
    )
    assert foreign_by_own_key.status_code == 404, "a ticket gives its key's rights only"


async def test_stream_ticket_opens_no_other_route(api: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    name = await created(api)
    ticket = (await issued(api, name))["ticket"]
    paths = [f"/v1/generations/{name}", f"/v1/generations/{name}/video", "/v1/generations", "/v1/usage", "/fal/upload"]
    for path in paths:
        method = "PUT" if path == "/fal/upload" else "GET"
        assert (await anonymous.request(method, path, params={"ticket": ticket})).status_code == 401, path
        for scheme in ("Bearer", "Key"):
            headers = {"authorization": f"{scheme} {ticket}"}
            assert (await anonymous.request(method, path, headers=headers)).status_code == 401, path
    events = f"/v1/generations/{name}/events"
    assert (await anonymous.get(events, headers={"authorization": f"Bearer {ticket}"})).status_code == 401
    again = await anonymous.post(f"/v1/generations/{name}/stream-tickets", params={"ticket": ticket})
    assert again.status_code == 401


@pytest.mark.parametrize(
    ("how", "status"), [("old", 401), ("revoked", 401), ("expired", 401), ("suspended", 403), ("deleted", 401)]
)
async def test_stream_ticket_is_void_with_its_key(
    runtime: Runtime, app: FastAPI, tenant: Tenant, clock: Clock, anonymous: httpx.AsyncClient, how: str, status: int
) -> None:
    tenants = runtime.tenants
    key = await tenants.api_keys.create(tenant.id, expires_at=clock() + timedelta(seconds=600 if how == "old" else 30))
    async with client_of(app, key.text) as client:
        url = local(await issued(client, await created(client)))
    if how == "old":
        clock.advance(LIFETIMES[TicketUse.STREAM])
    else:
        await make_void(runtime, clock, tenant, key, how)
    assert (await anonymous.get(url)).status_code == status


async def test_stream_opened_by_ticket_ends_with_its_key(
    app: FastAPI, tenant: Tenant, anonymous: httpx.AsyncClient
) -> None:
    tenants = app.state.runtime.tenants
    key = await tenants.api_keys.create(tenant.id)
    async with client_of(app, key.text) as client:
        url = local(await issued(client, await created(client, ended=False)))
    following = asyncio.create_task(anonymous.get(url))

    async def is_open() -> bool:
        return bool(tenants.open_calls.count)

    await until(is_open)
    await tenants.api_keys.revoke(tenant.id, key.key.id)
    answer = await following
    assert (answer.status_code, '"status":"queued"' in answer.text) == (200, True)


async def test_stream_by_ticket_counts_as_call(
    connect: Connect, runtime: Runtime, anonymous: httpx.AsyncClient
) -> None:
    tenant = await runtime.tenants.service.create("acme", Limits(requests_per_minute=4, burst=4))
    client = await connect(tenant)
    url = local(await issued(client, await created(client)))
    assert [(await anonymous.get(url)).status_code for _ in range(2)] == [200, 429]


async def test_stream_ticket_is_not_logged(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient, capfd: pytest.CaptureFixture[str]
) -> None:
    ticket = await issued(api, await created(api))
    for _ in range(2):  # the line of a call is written after its response
        await anonymous.get(local(ticket))
        await anonymous.get(local(ticket) + "x")
    printed = capfd.readouterr()
    assert '"/v1/generations/{generation_id}/events"' in printed.err
    assert ticket["ticket"][4:] not in printed.out + printed.err


async def test_cors_events_are_readable_by_pages_of_the_settings(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    url = local(await issued(api, await created(api)))
    for origin, allowed in ((PAGE, PAGE), ("https://evil.example", None)):
        for path in (url, f"{url}x"):
            answer = await anonymous.get(path, headers={"origin": origin})
            assert answer.headers.get("access-control-allow-origin") == allowed
    preflight = {
        "origin": PAGE,
        "access-control-request-method": "GET",
        "access-control-request-headers": "last-event-id,traceparent,tracestate,baggage,x-evil",
    }
    answer = await anonymous.options(url, headers=preflight)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-headers"] == "last-event-id, traceparent, tracestate, baggage"
    for path in ("/v1/generations", "/v1/generations/x", "/v1/generations/x/stream-tickets", "/v1/events"):
        assert "access-control-allow-origin" not in (await anonymous.options(path, headers=preflight)).headers
