"""Settings of OpenID Connect that belong together."""

from typing import Any

import pytest
from pydantic import ValidationError

from service.config.settings import Settings
from tests.support import factories

COMPLETE = {
    "oidc_issuer": "https://login.example.com",
    "oidc_client_id": "seedance-console",
    "oidc_default_role": "viewer",
    "public_url": "https://gateway.example.com/video",
}


def settings(**changes: Any) -> Settings:
    return factories.settings("redis://127.0.0.1:9/0", **{**COMPLETE, **changes})


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"oidc_client_id": None}, "oidc_client_id must be set"),
        ({"oidc_default_role": None}, "every login would fail"),
        ({"oidc_default_role": None, "oidc_roles": {"groups": {}}}, "every login would fail"),
        ({"public_url": None}, "public_url or console_url must be set"),
    ],
)
def test_openid_settings_incomplete_are_refused(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        settings(**changes)


def test_console_origin_is_the_public_url_unless_set() -> None:
    assert settings().console_origin == "https://gateway.example.com/video"
    assert settings(console_url="http://localhost:8080", public_url=None).console_origin == "http://localhost:8080"


@pytest.mark.parametrize("issuer", ["https://login.example.com/", "http://127.0.0.1:8080/realms/a", "http://[::1]:1"])
def test_issuer_is_used_as_it_is_written(issuer: str) -> None:
    assert settings(oidc_issuer=issuer).oidc_issuer == issuer
