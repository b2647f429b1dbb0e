"""Discovery documents: what is accepted, and what is refused with which reason."""

import json
from typing import Any

import pytest

from service.domain.openid.metadata import MetadataFault, ProviderMetadata, discovery_url, parse_metadata

ISSUER = "https://login.example.com/realms/company"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize?realm=company",
    "token_endpoint": "https://tokens.example.com/token",
    "jwks_uri": f"{ISSUER}/jwks",
}
NO_URL, UNSAFE = "its '{}' is not a URL", "its '{}' is not an HTTPS URL"


def parsed(**changes: Any) -> Any:
    document = {name: value for name, value in {**DOCUMENT, **changes}.items() if value is not None}
    return parse_metadata(json.dumps(document).encode(), ISSUER)


def test_metadata_least_document_is_enough() -> None:
    assert parsed() == ProviderMetadata(
        issuer=ISSUER,
        authorization_endpoint=f"{ISSUER}/authorize?realm=company",
        token_endpoint="https://tokens.example.com/token",
        jwks_uri=f"{ISSUER}/jwks",
        end_session_endpoint=None,
        names_issuer=False,
        secret_method="client_secret_basic",
    )
    assert parsed(end_session_endpoint="", token_endpoint_auth_methods_supported="client_secret_post") == parsed()


def test_metadata_optional_members_are_read() -> None:
    found = parsed(
        end_session_endpoint=f"{ISSUER}/logout",
        authorization_response_iss_parameter_supported=True,
        token_endpoint_auth_methods_supported=["client_secret_basic", "client_secret_post"],
        code_challenge_methods_supported=["plain", "S256"],
    )
    assert (found.end_session_endpoint, found.names_issuer) == (f"{ISSUER}/logout", True)
    assert found.secret_method == "client_secret_post"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"issuer": f"{ISSUER}/"}, "its 'issuer' is not GATEWAY_OIDC_ISSUER"),
        ({"issuer": "https://evil.example.com"}, "its 'issuer' is not GATEWAY_OIDC_ISSUER"),
        ({"issuer": None}, "its 'issuer' is not GATEWAY_OIDC_ISSUER"),
        ({"response_types_supported": ["id_token"]}, "its 'response_types_supported' does not have code"),
        ({"response_types_supported": "code"}, "its 'response_types_supported' does not have code"),
        ({"code_challenge_methods_supported": ["plain"]}, "its 'code_challenge_methods_supported' does not have S256"),
        ({"token_endpoint": None}, NO_URL.format("token_endpoint")),
        ({"token_endpoint": 7}, NO_URL.format("token_endpoint")),
        ({"token_endpoint": "http://login.example.com/token"}, UNSAFE.format("token_endpoint")),
        ({"jwks_uri": "file:///etc/passwd"}, UNSAFE.format("jwks_uri")),
        ({"jwks_uri": "https://"}, UNSAFE.format("jwks_uri")),
        ({"jwks_uri": "https://[::1/keys"}, NO_URL.format("jwks_uri")),
        ({"jwks_uri": "https://ann:pass@login.example.com/keys"}, UNSAFE.format("jwks_uri")),
        ({"authorization_endpoint": "javascript:alert(1)"}, UNSAFE.format("authorization_endpoint")),
        ({"authorization_endpoint": "https://login.example.com/\r\nx: y"}, NO_URL.format("authorization_endpoint")),
        (
            {"authorization_endpoint": f"https://login.example.com/{'a' * 2000}"},
            NO_URL.format("authorization_endpoint"),
        ),
        ({"jwks_uri": "https://login.example.com/keys#first"}, UNSAFE.format("jwks_uri")),
        ({"jwks_uri": "https://login.example.com/the keys"}, UNSAFE.format("jwks_uri")),
        ({"jwks_uri": "https://login.example.com/schlüssel"}, NO_URL.format("jwks_uri")),
        ({"end_session_endpoint": "javascript:alert(1)"}, UNSAFE.format("end_session_endpoint")),
    ],
)
def test_metadata_unsafe_is_refused(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(MetadataFault) as raised:
        parsed(**changes)
    assert str(raised.value) == fault


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "it is not JSON"),
        (b"<html>", "it is not JSON"),
        (b"\xff", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[]", "it is not an object"),
        (b"null", "it is not an object"),
    ],
)
def test_metadata_other_content_is_refused(content: bytes, fault: str) -> None:
    with pytest.raises(MetadataFault) as raised:
        parse_metadata(content, ISSUER)
    assert str(raised.value) == fault


def test_metadata_has_urls_up_to_their_longest() -> None:
    longest = "https://login.example.com/".ljust(2000, "a")
    assert parsed(jwks_uri=longest).jwks_uri == longest


def test_metadata_http_is_accepted_at_the_own_origin_of_the_issuer() -> None:
    issuer = "http://127.0.0.1:8080"
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint")
    document = {"issuer": issuer, **{name: f"{issuer}/{name}" for name in names}}
    assert parse_metadata(json.dumps(document).encode(), issuer).jwks_uri == f"{issuer}/jwks_uri"
    document["jwks_uri"] = "http://127.0.0.1:8081/jwks_uri"
    with pytest.raises(MetadataFault):
        parse_metadata(json.dumps(document).encode(), issuer)


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://a.example.com", "https://a.example.com/.well-known/openid-configuration"),
        ("https://a.example.com/", "https://a.example.com/.well-known/openid-configuration"),
        ("https://a.example.com/X", "https://a.example.com/X/.well-known/openid-configuration"),
    ],
)
def test_discovery_url_has_one_slash(issuer: str, url: str) -> None:
    assert discovery_url(issuer) == url
