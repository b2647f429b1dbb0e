"""Calls that stay open end when their key is refused: waits, ``run`` calls and event streams."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.tenant import Tenant
from service.runtime import Runtime
from service.store import keys
from tests.conftest import client_of
from tests.support import factories, tokens
from tests.support.factories import Clock, create_body
from tests.support.waiting import until

MODEL = "bytedance/seedance-2.0/image-to-video"
#: Waits last for 50 s and streams for longer: a call that ends within this time was ended.
ENDED = 20.0
#: The status of each call after it was ended; None: the status of the refusal.
CALLS = {
    ("GET", "/v1/generations/{id}?wait=50"): None,
    ("POST", "/v1/generations"): 202,
    ("POST", f"/fal/run/{MODEL}"): None,
    ("POST", f"/fal/run/{MODEL}/stream"): None,
    ("GET", "/v1/generations/{id}/events"): 200,
    ("GET", "/fal/queue/bytedance/seedance-2.0/requests/{id}/status/stream"): 200,
}
REFUSALS = {"revoked": 401, "expired": 401, "deleted": 401, "suspended": 403}


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, public_url="https://gateway.example")


async def open_calls(client: httpx.AsyncClient) -> list[asyncio.Task[httpx.Response]]:
    """Start every kind of call that stays open."""
    g = (await client.post("/v1/generations", json=create_body())).raise_for_status().json()
    return [
        asyncio.create_task(
            client.request(
                method,
                path.format(id=g["id"]),
                json=create_body(prompt=f"{method} {path}") if method == "POST" else None,
                headers={"prefer": "wait=50"} if path == "/v1/generations" else {},
                timeout=60,
            )
        )
        for method, path in CALLS
    ]


async def refuse(how: str, runtime: Runtime, clock: Clock, tenant: Tenant, key_id: str) -> None:
    tenants = runtime.tenants
    match how:
        case "revoked":
            await tenants.api_keys.revoke(tenant.id, key_id)
        case "expired":
            clock.advance(timedelta(minutes=1))
        case "suspended":
            await tenants.service.suspend(tenant.id)
        case "deleted":  # as its script leaves it; the script itself refuses while work is in flight
            await runtime.redis.execute("DEL", keys.tenant(tenant.id))


@pytest.mark.parametrize("how", REFUSALS)
async def test_open_calls_end_when_key_is_refused(
    app: FastAPI, runtime: Runtime, clock: Clock, tenant: Tenant, how: str
) -> None:
    key = await runtime.tenants.api_keys.create(tenant.id, expires_at=clock() + timedelta(minutes=1))
    other = await runtime.tenants.api_keys.create(tenant.id)
    watched = app.state.runtime.tenants.open_calls
    async with client_of(app, key.text) as client, client_of(app, other.text) as second:
        g = (await second.post("/v1/generations", json=create_body())).json()
        unharmed = asyncio.create_task(second.get(f"/v1/generations/{g['id']}?wait=50", timeout=60))
        calls = await open_calls(client)
        await until(lambda: _is(watched.count, len(CALLS) + 1))
        begun = asyncio.get_running_loop().time()

        await refuse(how, runtime, clock, tenant, key.key.id)

        async with asyncio.timeout(ENDED):
            answers = await asyncio.gather(*calls)
        print(f"{how}: ended after {asyncio.get_running_loop().time() - begun:.2f} s")  # noqa: T201  (a figure)
        statuses = {call: answer.status_code for call, answer in zip(CALLS, answers, strict=True)}
        assert statuses == {call: status or REFUSALS[how] for call, status in CALLS.items()}
        assert unharmed.done() is (how in ("suspended", "deleted")), "another key of the tenant"
        unharmed.cancel()
        await asyncio.gather(unharmed, return_exceptions=True)
    await until(lambda: _is(watched.count, 0))


@pytest.mark.parametrize("how", ["issuer removed", "token expired"])
async def test_open_calls_end_when_token_is_refused(
    app: FastAPI, runtime: Runtime, clock: Clock, tenant: Tenant, how: str
) -> None:
    issuer = tokens.trusted_issuer(tenant.id)
    await runtime.stores.trusted_issuers.insert(issuer)
    watched, now = app.state.runtime.tenants.open_calls, clock()
    texts = [tokens.signed(tokens.claims_of_service(now, exp=int(now.timestamp()) + seconds)) for seconds in (60, 3600)]
    async with client_of(app, texts[0]) as client, client_of(app, texts[1]) as second:
        g = (await second.post("/v1/generations", json=create_body())).json()
        longer = asyncio.create_task(second.get(f"/v1/generations/{g['id']}?wait=50", timeout=60))
        calls = await open_calls(client)
        await until(lambda: _is(watched.count, len(CALLS) + 1))
        if how == "issuer removed":
            await runtime.tenants.trusted_issuers.remove(tenant.id, issuer.id)
        else:
            clock.advance(timedelta(seconds=60 + 30))

        async with asyncio.timeout(ENDED):
            answers = await asyncio.gather(*calls)
        statuses = {call: answer.status_code for call, answer in zip(CALLS, answers, strict=True)}
        assert statuses == {call: status or 401 for call, status in CALLS.items()}
        assert longer.done() is (how == "issuer removed"), "another token of the same service"
        longer.cancel()
        await asyncio.gather(longer, return_exceptions=True)


async def _is(value: int, wanted: int) -> bool:
    return value == wanted
