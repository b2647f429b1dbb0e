"""Any token: none is accepted unless the key has signed it as it is, and every claim is right."""

import contextlib
import json
from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jws import JWSRegistry

from service.domain.identity.key_sets import KeySetFault, parse_key_set
from service.domain.identity.tokens import Token, TokenFault, parse_token
from tests.support.factories import NOW
from tests.support.tokens import (
    ALGORITHMS,
    AUDIENCE,
    CLUSTER,
    SERVICE_ACCOUNT,
    claims_of_service,
    key,
    later,
    part,
    public,
    signed,
    trusted_issuer,
)

LEEWAY: Final = timedelta(seconds=30)
TRUSTED: Final = trusted_issuer("ten_x", jwks=json.dumps(public(key(), key("RSA", "rsa"))))
KEYS: Final = parse_key_set(str(TRUSTED.jwks))

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_HEADERS = st.dictionaries(
    st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "jku", "x5c", "cty", "zip", "enc", "other"]),
    _JSON | st.sampled_from([*ALGORITHMS, "none", "HS256", "first", "rsa", "JWT", "at+jwt"]),
    max_size=4,
)
_CLAIMS = st.dictionaries(
    st.sampled_from(["iss", "sub", "aud", "exp", "nbf", "iat", "other"]),
    _JSON
    | st.sampled_from([CLUSTER, SERVICE_ACCOUNT, AUDIENCE, [AUDIENCE], later(60), later(-60), later(29), later(-29)]),
    max_size=4,
)


def accepted(text: str) -> Token | None:
    """Return the token if it is accepted, as ``TokenAuthenticator`` does it."""
    try:
        token = parse_token(text)
        token.check_times(NOW, LEEWAY)
    except TokenFault:
        return None
    found = KEYS.select(token)
    return token if TRUSTED.matches(token) and found is not None and found.verifies(token) else None


def rightful(claims: dict[str, Any]) -> bool:
    """Return whether the claims fulfil the rule, in other words than the code's."""
    now, audience = NOW.timestamp(), claims.get("aud")
    return (
        claims.get("iss") == CLUSTER
        and claims.get("sub") == SERVICE_ACCOUNT
        and (audience == AUDIENCE or (isinstance(audience, list) and AUDIENCE in audience))
        and type(claims.get("exp")) in (int, float)
        and claims["exp"] + 30 > now
        and all(type(claims[name]) in (int, float) for name in ("nbf", "iat") if name in claims)
        and all(claims[name] - 30 <= now for name in ("nbf", "iat") if name in claims)
    )


def test_unchanged_token_is_accepted() -> None:
    assert accepted(signed(claims_of_service()))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_HEADERS, _CLAIMS)
def test_signed_token_is_accepted_only_with_right_claims(header: dict[str, Any], claims: dict[str, Any]) -> None:
    """The issuer itself signs other claims and headers."""
    try:
        header = {"alg": "ES256", "kid": "first", **header}
        text = f"{part(header)}.{part({**claims_of_service(), **claims})}"
    except (ValueError, UnicodeError):
        return
    token = f"{text}.{signed(b'', alg='ES256').rpartition('.')[2]}"
    with contextlib.suppress(KeyError, ValueError):
        token = f"{text}.{_signature(text)}"
    if accepted(token):
        assert rightful({**claims_of_service(), **claims})
        assert header["alg"] == "ES256"
        assert header["kid"] == "first"
        assert not header.keys() & {"crit", "b64"}


def _signature(text: str) -> str:

    return part(JWSRegistry.algorithms["ES256"].sign(text.encode(), key()))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_altered_token_is_refused(data: st.DataObject) -> None:
    """One character, or one part, is another one: the text is then no token of the issuer."""
    text = data.draw(st.sampled_from(_TEXTS))
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(text) - 1))
        other = text[:at] + data.draw(st.sampled_from("ABCabc019-_.=")) + text[at + data.draw(st.integers(0, 1)) :]
    else:
        pieces = text.split(".")
        pieces[data.draw(st.integers(0, 2))] = part(data.draw(_HEADERS | _CLAIMS))
        other = ".".join(pieces)

    assert other in _TEXTS or accepted(other) is None


_TEXTS: Final = [signed(claims_of_service()), signed(claims_of_service(), key("RSA", "rsa"), alg="PS256")]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40) | st.binary(max_size=40).map(lambda content: f"{part(content)}.{part(content)}.AAAA"))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(TokenFault):
        parse_token(text)


_KEY = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("kty", "n", "e", "crv", "x", "y", "alg", "kid", "use", "key_ops"), _JSON),
)


@settings(max_examples=200, deadline=None)
@given(st.fixed_dictionaries({"keys": st.lists(_KEY, max_size=3)}) | _JSON)
def test_any_key_set_is_read_or_refused(content: Any) -> None:
    with contextlib.suppress(KeySetFault):
        parse_key_set(json.dumps(content))


@pytest.mark.parametrize("name", ["kty", "n", "e", "alg", "kid", "use", "key_ops"])
@given(value=_JSON)
@settings(max_examples=30, deadline=None)
def test_any_member_of_a_key_is_read_or_refused(name: str, value: Any) -> None:
    jwk = {**public(key("RSA"))["keys"][0], name: value}
    with contextlib.suppress(KeySetFault):
        parse_key_set(json.dumps({"keys": [jwk]}))


@pytest.mark.parametrize("bits", [1024, 2047])
def test_short_rsa_key_is_refused(bits: int) -> None:
    number = (1 << bits) - 1
    modulus = part(number.to_bytes((bits + 7) // 8))
    with pytest.raises(KeySetFault, match=f"{bits} bits"):
        parse_key_set(json.dumps({"keys": [{"kty": "RSA", "n": modulus, "e": "AQAB"}]}))
