"""A gateway whose operators log in at an OpenID provider on this machine."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from service.config.settings import Settings
from tests.support import factories
from tests.support.factories import Clock
from tests.support.openid import CLIENT_ID, CLIENT_SECRET, OpenIdServer, openid_server

ROLES = {"groups": {"video-admins": "admin", "video-oncall": "operator"}, "department": {"finance": "viewer"}}


@pytest.fixture
async def provider(clock: Clock) -> AsyncIterator[OpenIdServer]:
    async with openid_server(clock) as server:
        yield server


@pytest.fixture
def changes() -> dict[str, Any]:
    """Return changes of the settings. Tests override it by a parameter."""
    return {}


@pytest.fixture
def settings(redis_url: str, provider: OpenIdServer, changes: dict[str, Any]) -> Settings:
    given = {
        "public_url": "https://gateway.test",
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": SecretStr(CLIENT_SECRET),
        "oidc_roles": ROLES,
    }
    return factories.settings(redis_url, **{**given, **changes})
