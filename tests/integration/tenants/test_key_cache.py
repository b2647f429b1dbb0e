"""The cache of API keys: what it keeps of keys that are used no longer."""

from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI

from service.domain.tenant import Tenant, new_key_text
from service.usecases.tenants import authentication, lookup_cache
from service.usecases.tenants.authentication import Authenticator
from tests.conftest import Connect
from tests.support.factories import Clock

KEYS = 30


@pytest.fixture
def authenticator(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Authenticator:
    """Return the authenticator, whose look-ups are too old at once."""
    monkeypatch.setattr(authentication, "CACHE_SECONDS", 0.0)
    monkeypatch.setattr(lookup_cache, "_KEPT_SECONDS", 0.0)
    found: Authenticator = app.state.runtime.tenants.authenticator
    return found


async def test_unknown_keys_leave_no_entries(authenticator: Authenticator, api: httpx.AsyncClient) -> None:
    for _ in range(KEYS):
        _, text = new_key_text()
        assert (await api.get("/v1/me", headers={"authorization": f"Bearer {text}"})).status_code == 401

    assert len(authenticator._keys._lookups) == 1


async def test_keys_of_one_call_leave_no_entries(
    authenticator: Authenticator, connect: Connect, tenant: Tenant, clock: Clock
) -> None:
    for _ in range(KEYS):
        clock.advance(timedelta(minutes=1))
        assert (await (await connect(tenant)).get("/v1/me")).status_code == 200

    assert [len(authenticator._keys._lookups), len(authenticator._opened), len(authenticator._recorded_uses)] == [
        1,
        1,
        1,
    ]


async def test_cache_beyond_its_size_loses_the_oldest_only(
    app: FastAPI, connect: Connect, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup_cache, "CACHE_SIZE", 2)
    first, second, third = [await connect(tenant) for _ in range(3)]
    for client in (first, second, first, third):
        assert (await client.get("/v1/me")).status_code == 200

    assert len(app.state.runtime.tenants.authenticator._keys._lookups) == 2
