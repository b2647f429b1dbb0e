"""Discovery documents: what is accepted, and what is refused with which reason."""

import json
from typing import Any

import pytest

from service.domain.openid.metadata import MetadataFault, discovery_url, parse_metadata

ISSUER = "https://login.example.com/realms/company"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize?realm=company",
    "token_endpoint": "https://tokens.example.com/token",
    "jwks_uri": f"{ISSUER}/jwks",
}


def parsed(**changes: Any) -> Any:
    document = {name: value for name, value in {**DOCUMENT, **changes}.items() if value is not None}
    return parse_metadata(json.dumps(document).encode(), ISSUER)


def test_metadata_least_document_is_enough() -> None:
    found = parsed()
    assert (found.end_session_endpoint, found.names_issuer, found.secret_method) == (None, False, "client_secret_basic")
    assert found.token_endpoint == "https://tokens.example.com/token"


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
        ({"issuer": f"{ISSUER}/"}, "not GATEWAY_OIDC_ISSUER"),
        ({"issuer": "https://evil.example.com"}, "not GATEWAY_OIDC_ISSUER"),
        ({"issuer": None}, "not GATEWAY_OIDC_ISSUER"),
        ({"response_types_supported": ["id_token"]}, "does not have code"),
        ({"response_types_supported": "code"}, "does not have code"),
        ({"code_challenge_methods_supported": ["plain"]}, "does not have S256"),
        ({"token_endpoint": None}, "'token_endpoint' is not a URL"),
        ({"token_endpoint": 7}, "'token_endpoint' is not a URL"),
        ({"token_endpoint": "http://login.example.com/token"}, "not an HTTPS URL"),
        ({"jwks_uri": "file:///etc/passwd"}, "not an HTTPS URL"),
        ({"jwks_uri": "https://"}, "not an HTTPS URL"),
        ({"jwks_uri": "https://[::1/keys"}, "not a URL"),
        ({"jwks_uri": "https://ann:pass@login.example.com/keys"}, "not an HTTPS URL"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "not an HTTPS URL"),
        ({"authorization_endpoint": "https://login.example.com/\r\nx: y"}, "not a URL"),
        ({"authorization_endpoint": f"https://login.example.com/{'a' * 2000}"}, "not a URL"),
        ({"end_session_endpoint": "javascript:alert(1)"}, "not an HTTPS URL"),
    ],
)
def test_metadata_unsafe_is_refused(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(MetadataFault, match=fault):
        parsed(**changes)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_metadata_other_content_is_refused(content: bytes) -> None:
    with pytest.raises(MetadataFault):
        parse_metadata(content, ISSUER)


def test_metadata_http_is_accepted_at_the_own_origin_of_the_issuer() -> None:
    issuer = "http://127.0.0.1:8080"
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    document = {"issuer": issuer, **{name: f"{issuer}/{name}" for name in names}}
    assert parse_metadata(json.dumps(document).encode(), issuer).jwks_uri == f"{issuer}/jwks_uri"
    document["jwks_uri"] = "http://127.0.0.1:8081/jwks_uri"
    with pytest.raises(MetadataFault):
        parse_metadata(json.dumps(document).encode(), issuer)


@pytest.mark.parametrize("issuer", ["https://a.example.com", "https://a.example.com/"])
def test_discovery_url_has_one_slash(issuer: str) -> None:
    assert discovery_url(issuer) == "https://a.example.com/.well-known/openid-configuration"
