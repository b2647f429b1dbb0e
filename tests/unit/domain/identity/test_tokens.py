"""Texts that are no token, each with its reason, and what is read of a token."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from service.domain.identity.tokens import (
    LONGEST,
    TokenFault,
    caller_id,
    is_token,
    issuer_id_of,
    parse_token,
    trust_domain,
)
from tests.support.tokens import part

HEADER: Final = {"alg": "ES256", "kid": "first"}
CLAIMS: Final = {"sub": "s", "aud": "a", "exp": 1_800_000_000}
WHEN: Final = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)


def token(header: Any = None, claims: Any = None, signature: str = "AAAA") -> str:
    made = [part({**HEADER, **(header or {})}) if not isinstance(header, bytes) else part(header)]
    made.append(part({**CLAIMS, **(claims or {})}) if not isinstance(claims, bytes) else part(claims))
    return ".".join([*made, signature])


def unreadable(why: str) -> tuple[str, str]:
    return "malformed", f"The token (JWT) cannot be read: {why}."


def not_printable(name: str) -> tuple[str, str]:
    return unreadable(f"'{name}' is not a text of 1 to 512 printable characters")


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in CLAIMS.items() if key != name}).encode()


PARTS = unreadable("it has not three parts in base64url")
BASE64 = unreadable("a part is not base64url")
AUDIENCES = unreadable("'aud' is missing, or neither a text nor a list of texts")
TYPE = ("type", "The token's header has another 'typ' than JWT.")
FAULTS: Final = [
    ("a" * (LONGEST + 1), ("oversized", "The token is longer than 8192 characters.")),
    ("a" * LONGEST, PARTS),
    ("", PARTS),
    ("a.b", PARTS),
    ("a.b.c.d", PARTS),
    (token() + "=", PARTS),
    (token() + "\n", PARTS),
    (token(signature="A"), BASE64),
    (token(signature="AB"), BASE64),
    (token(b"["), unreadable("its header is not JSON")),
    (token(b"[]"), unreadable("its header is not an object")),
    (token(None, b"\xff"), unreadable("its payload is not JSON")),
    (token(None, b"1"), unreadable("its payload is not an object")),
    (token(None, b"[" * 5000), unreadable("its payload is not JSON")),
    (token(None, b'{"sub":"a","sub":"a"}'), unreadable("it has a member twice")),
    (token(None, b'{"exp":NaN}'), unreadable("it has a number that is not finite")),
    (token({"crit": []}), ("extension", "The token's header has 'crit': no extension is supported.")),
    (token({"b64": True}), ("extension", "The token's header has 'b64': no extension is supported.")),
    (token({"typ": "logout+jwt"}), TYPE),
    (token({"typ": "application/dpop+jwt"}), TYPE),
    (token({"typ": ""}), not_printable("typ")),
    (token(b"{}"), unreadable("'alg' is missing")),
    (token({"alg": None}), not_printable("alg")),
    (token({"kid": "k" * 513}), not_printable("kid")),
    (token(None, {"iss": "a\n"}), not_printable("iss")),
    (token(None, {"sub": 5}), not_printable("sub")),
    (token(None, without("sub")), unreadable("'sub' is missing")),
    (token(None, without("aud")), AUDIENCES),
    (token(None, {"aud": ""}), AUDIENCES),
    (token(None, {"aud": []}), AUDIENCES),
    (token(None, {"aud": ["a", ""]}), AUDIENCES),
    (token(None, {"aud": ["a"] * 65}), AUDIENCES),
    (token(None, without("exp")), unreadable("'exp' is missing")),
    (token(None, {"exp": "1"}), unreadable("'exp' is not a time in seconds since 1970")),
    (token(None, {"exp": True}), unreadable("'exp' is not a time in seconds since 1970")),
    (token(None, {"exp": 253_402_300_800}), unreadable("'exp' is not a time in seconds since 1970")),
    (token(None, {"nbf": -1}), unreadable("'nbf' is not a time in seconds since 1970")),
    (token(None, {"iat": None}), unreadable("'iat' is not a time in seconds since 1970")),
]


@pytest.mark.parametrize(
    ("text", "fault"), FAULTS, ids=[f"{n} {fault[1][-40:]}" for n, (_, fault) in enumerate(FAULTS)]
)
def test_token_fault_has_its_reason(text: str, fault: tuple[str, str]) -> None:
    with pytest.raises(TokenFault) as raised:
        parse_token(text)
    assert (raised.value.reason, raised.value.detail, str(raised.value)) == (*fault, fault[1])


def test_token_has_what_its_parts_say() -> None:
    claims = {"iss": "i", "aud": ["a", "b"], "nbf": 1_800_000_000.5, "iat": 0, "sub": "s" * 512}
    text = token({"typ": "application/AT+JWT"}, claims)
    found = parse_token(text)
    assert (found.text, found.algorithm, found.key_id, found.issuer) == (text, "ES256", "first", "i")
    assert (found.subject, found.audiences, found.expires_at) == ("s" * 512, ("a", "b"), WHEN)
    assert (found.not_before, found.issued_at) == (WHEN + timedelta(seconds=0.5), datetime(1970, 1, 1, tzinfo=UTC))
    assert found.claims == {**CLAIMS, **claims}
    bare = parse_token(token(b'{"alg":"x","typ":"JOSE"}', {"aud": ["a"] * 64, "exp": 253_402_300_799}))
    assert (bare.key_id, bare.issuer, bare.not_before, bare.issued_at) == (None, None, None, None)
    assert bare.expires_at == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("audience", "audiences"), [("gateway", ("gateway",)), (["gateway"], ("gateway",)), (["b", "a"], ("b", "a"))]
)
def test_token_audience_is_one_text_or_a_list(audience: Any, audiences: tuple[str, ...]) -> None:
    assert parse_token(token(None, {"aud": audience})).audiences == audiences


@pytest.mark.parametrize("signature", ["AAAX", "AAX8", "AX8A", "_-_-", "AA", "AAA", "AAAA"])
def test_token_signature_is_any_base64url(signature: str) -> None:
    text = token(signature=signature)
    assert parse_token(text).text == text


SECOND, LEEWAY = timedelta(seconds=1), timedelta(seconds=30)


@pytest.mark.parametrize(
    ("claims", "last", "first", "reason", "detail"),
    [
        ({}, LEEWAY - SECOND, LEEWAY, "expired", "The token has expired."),
        (
            {"nbf": 1_799_999_900},
            -LEEWAY - 100 * SECOND,
            -LEEWAY - 101 * SECOND,
            "not_yet_valid",
            "The token is not valid yet (nbf).",
        ),
        (
            {"iat": 1_799_999_900},
            -LEEWAY - 100 * SECOND,
            -LEEWAY - 101 * SECOND,
            "issued_in_future",
            "The token was issued in the future (iat).",
        ),
    ],
)
def test_token_times_have_a_leeway(
    claims: dict[str, int], last: timedelta, first: timedelta, reason: str, detail: str
) -> None:
    found = parse_token(token(None, claims))
    found.check_times(WHEN + last, LEEWAY)
    with pytest.raises(TokenFault) as raised:
        found.check_times(WHEN + first, LEEWAY)
    assert (raised.value.reason, raised.value.detail) == (reason, detail)


@pytest.mark.parametrize(
    ("subject", "issuer", "issuers"),
    [
        ("s", None, ()),
        ("s", "i", ("i",)),
        ("spiffe://example.org/a", None, ("spiffe://example.org",)),
        ("spiffe://example.org/a", "i", ("i", "spiffe://example.org")),
        ("spiffe://example.org/a", "spiffe://example.org", ("spiffe://example.org",)),
        ("spiffe://example.org/", None, ()),
        ("spiffe://Example.org/a", None, ()),
        ("xspiffe://example.org/a", None, ()),
        (f"spiffe://{'a' * 256}/a", None, ()),
    ],
)
def test_token_issuers_are_names_to_trust(subject: str, issuer: str | None, issuers: tuple[str, ...]) -> None:
    found = parse_token(token(None, {"sub": subject, **({} if issuer is None else {"iss": issuer})}))
    assert found.issuers == issuers
    assert trust_domain(subject) == (issuers[-1] if subject.startswith("spiffe") and issuers else None)


def test_caller_id_names_issuer_and_subject() -> None:
    assert caller_id("iss_1", "abc") == "jwt:iss_1:ba7816bf8f01cfea"
    assert issuer_id_of("jwt:iss_1:ba7816bf8f01cfea") == "iss_1"
    assert issuer_id_of("0123456789ab") is None


@pytest.mark.parametrize(("text", "expected"), [("a.b.c", True), ("a.b", False), ("a.b.c.d", False), ("", False)])
def test_text_with_three_parts_is_a_token(text: str, expected: bool) -> None:
    assert is_token(text) is expected
