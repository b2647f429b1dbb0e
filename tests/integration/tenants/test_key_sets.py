"""Key sets of trusted issuers: cached, refreshed, kept while the issuer is unavailable, and not fetched in a flood."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from service.config.settings import Settings
from service.domain.tenant import Tenant
from service.observability import metrics
from service.runtime import Runtime
from service.usecases.tenants.key_sets import FETCH_INTERVAL, FRESH_FOR, KEPT_FOR
from tests.support import factories
from tests.support.factories import Clock
from tests.support.metric_values import value
from tests.support.tokens import IssuerServer, claims_of_service, issuer_server, key, later, public, rule, signed
from tests.support.waiting import until

SECOND = key("P-256", "second")


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, jwks_allowed_networks=factories.LOOPBACK)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def trust(operator: httpx.AsyncClient, tenant: Tenant, server: IssuerServer) -> None:
    body = rule(jwks=None, jwks_url=server.url)
    assert (await operator.post(f"/admin/v1/tenants/{tenant.id}/issuers", json=body)).status_code == 201
    server.requests = 0


async def status(anonymous: httpx.AsyncClient, **header: Any) -> int:
    by = header.pop("by", key())
    token = signed(claims_of_service(exp=later(10**7), jti=str(id(header))), by, **header)
    return (await anonymous.get("/v1/me", headers={"authorization": f"Bearer {token}"})).status_code


async def test_key_set_is_fetched_once_for_concurrent_tokens(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant
) -> None:
    async with issuer_server() as server:
        await trust(operator, tenant, server)
        found = await asyncio.gather(*(status(anonymous, x=str(number)) for number in range(10)))

    assert (set(found), server.requests) == ({200}, 1)


async def test_new_key_is_fetched_at_its_first_token(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    async with issuer_server() as server:
        await trust(operator, tenant, server)
        first = await status(anonymous)
        server.content = public(key(), SECOND)
        too_early = await status(anonymous, by=SECOND)
        clock.advance(FETCH_INTERVAL)
        second = await status(anonymous, by=SECOND)

    assert (first, too_early, second, server.requests) == (200, 401, 200, 2)


async def test_flood_of_unknown_keys_fetches_once_per_interval(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    async with issuer_server() as server:
        await trust(operator, tenant, server)
        for _ in range(3):
            found = [await status(anonymous, kid=f"unknown-{number}") for number in range(20)]
            found += await asyncio.gather(*(status(anonymous, kid=f"other-{number}") for number in range(20)))
            assert set(found) == {401}
            clock.advance(FETCH_INTERVAL)

    assert server.requests == 3


async def test_withdrawn_key_is_refused_after_the_refresh(
    anonymous: httpx.AsyncClient,
    operator: httpx.AsyncClient,
    tenant: Tenant,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("authentication", "token_authentication"):
        monkeypatch.setattr(f"service.usecases.tenants.{module}.CACHE_SECONDS", 0.0)
    async with issuer_server() as server:
        await trust(operator, tenant, server)
        token = signed(claims_of_service(exp=later(10**7)))
        headers = {"authorization": f"Bearer {token}"}
        before = await anonymous.get("/v1/me", headers=headers)
        server.content = public(SECOND)
        clock.advance(FRESH_FOR)
        during = await anonymous.get("/v1/me", headers=headers)  # it begins the fetch, and does not wait
        await until(lambda: _fetched(server, 2))
        clock.advance(timedelta(minutes=1))
        await until(lambda: _is_status(anonymous, headers, 401))

    assert (before.status_code, during.status_code) == (200, 200)


async def test_keys_are_kept_while_the_issuer_is_unavailable(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    async with issuer_server() as server:
        await trust(operator, tenant, server)
        before = await status(anonymous)
        server.status = 500
        clock.advance(KEPT_FOR - timedelta(minutes=1))
        kept = await status(anonymous)
        clock.advance(timedelta(minutes=1))
        lost = await status(anonymous)
        server.status = 200
        clock.advance(FETCH_INTERVAL)
        back = await status(anonymous)

    assert (before, kept, lost, back) == (200, 200, 503, 200)


async def test_unavailable_issuer_is_tried_once_per_interval(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    async with issuer_server() as server:
        await trust(operator, tenant, server)
        server.status = 500
        found = [await status(anonymous) for _ in range(5)]
        token = signed(claims_of_service())
        response = await anonymous.get("/v1/me", headers={"authorization": f"Bearer {token}"})

    assert (found, server.requests) == ([503] * 5, 1)
    assert (response.json()["code"], response.headers["retry-after"]) == ("unavailable", "10")


async def test_number_of_cached_key_sets_is_bounded(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.usecases.tenants.key_sets._MOST_URLS", 3)
    for number in range(10):
        runtime.tenants.key_sets._source(f"https://issuer-{number}.example")

    assert len(runtime.tenants.key_sets._sources) == 3


async def _fetched(server: IssuerServer, number: int) -> bool:
    return server.requests >= number


async def _is_status(anonymous: httpx.AsyncClient, headers: dict[str, str], wanted: int) -> bool:
    return (await anonymous.get("/v1/me", headers=headers)).status_code == wanted


async def test_failed_fetches_are_counted_without_the_issuer(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    counted = metrics.KEY_SETS_UNAVAILABLE.labels("tenant_issuer")
    async with issuer_server() as server:
        await trust(operator, tenant, server)
        server.status = 500
        before = value(counted)
        for _ in range(3):
            assert await status(anonymous) == 503
            clock.advance(FETCH_INTERVAL)

    assert value(counted) - before == 3
