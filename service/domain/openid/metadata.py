"""The discovery document of an OpenID provider (OpenID Connect Discovery 1.0), as far as the gateway uses it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

WELL_KNOWN: Final = "/.well-known/openid-configuration"
_LONGEST_URL: Final = 2_000
_POST: Final = "client_secret_post"
_BASIC: Final = "client_secret_basic"


class MetadataFault(ValueError):
    """Why a discovery document cannot be used; text for operators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderMetadata:
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str | None
    """Page that ends the session at the provider; None: it has none."""
    names_issuer: bool
    """Whether each response names its issuer (RFC 9207)."""
    secret_method: str
    """How a client with a secret authenticates: with a form, or with HTTP Basic."""


def discovery_url(issuer: str) -> str:
    return issuer.rstrip("/") + WELL_KNOWN


def parse_metadata(content: bytes, issuer: str) -> ProviderMetadata:
    """Read a discovery document. Raises MetadataFault."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise MetadataFault("it is not JSON") from None
    if not isinstance(found, dict):
        raise MetadataFault("it is not an object")
    if found.get("issuer") != issuer:
        raise MetadataFault("its 'issuer' is not GATEWAY_OIDC_ISSUER")
    _demand(found, "response_types_supported", "code")
    _demand(found, "code_challenge_methods_supported", "S256")
    methods = found.get("token_endpoint_auth_methods_supported")
    return ProviderMetadata(
        issuer=issuer,
        authorization_endpoint=_url(found, "authorization_endpoint", issuer),
        token_endpoint=_url(found, "token_endpoint", issuer),
        jwks_uri=_url(found, "jwks_uri", issuer),
        end_session_endpoint=_url(found, "end_session_endpoint", issuer) if found.get("end_session_endpoint") else None,
        names_issuer=found.get("authorization_response_iss_parameter_supported") is True,
        # A form has one encoding of a secret. Servers read special characters in HTTP Basic in different ways.
        secret_method=_POST if isinstance(methods, list) and _POST in methods else _BASIC,
    )


def _demand(found: Mapping[str, Any], name: str, value: str) -> None:
    """Raise MetadataFault if a list is present and does not have a value."""
    given = found.get(name)
    if given is not None and (not isinstance(given, list) or value not in given):
        raise MetadataFault(f"its {name!r} does not have {value}")


def _url(found: Mapping[str, Any], name: str, issuer: str) -> str:
    """Return a URL of the provider: HTTPS, or of the issuer's own origin, which may be on a loopback address."""
    value = found.get(name)
    if not isinstance(value, str) or len(value) > _LONGEST_URL or not value.isascii() or not value.isprintable():
        raise MetadataFault(f"its {name!r} is not a URL")
    try:
        parts, own = urlsplit(value), urlsplit(issuer)
    except ValueError:
        raise MetadataFault(f"its {name!r} is not a URL") from None
    is_safe = parts.scheme == "https" or (parts.scheme, parts.netloc) == (own.scheme, own.netloc)
    if not is_safe or not parts.hostname or "@" in parts.netloc or "#" in value or " " in value:
        raise MetadataFault(f"its {name!r} is not an HTTPS URL")
    return value
