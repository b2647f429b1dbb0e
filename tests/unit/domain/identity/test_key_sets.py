"""Key sets that are refused, each with its reason, and which key verifies a token."""

import json
from typing import Any, Final

import pytest

from service.domain.identity.key_sets import LONGEST_KEY_SET, MOST_KEYS, KeySet, KeySetFault, parse_key_set
from service.domain.identity.tokens import parse_token
from tests.support.tokens import ALGORITHMS, claims_of_service, key, part, public, signed

EC: Final = public(key())["keys"][0]
RSA: Final = public(key("RSA"))["keys"][0]
USE: Final = "it is not for signatures ('use', 'key_ops')"
MISSING: Final = "a member of the public key is missing"
INVALID: Final = "it is no valid public key"
LISTS: Final = "it is not an object with a list 'keys'"


def key_set(*keys: Any) -> KeySet:
    return parse_key_set(json.dumps({"keys": keys}))


def modulus(bits: int) -> str:
    return part((2**bits - 1).to_bytes(bits // 8 + 1))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "it is not JSON"),
        ("[" * 50_000, "it is not JSON"),
        ("5", LISTS),
        ("{}", LISTS),
        ('{"keys": {}}', LISTS),
        ('{"keys": []}', "it has no key that can verify tokens"),
        (json.dumps({"keys": [EC] * (MOST_KEYS + 1)}), "it has more than 64 keys"),
        (
            json.dumps({"keys": [RSA, {**EC, "d": "AAAA"}]}),
            "it has a private key; give public keys only, and replace that key",
        ),
    ],
    ids=["empty", "deep", "number", "no list", "object", "no key", "many keys", "private key"],
)
def test_key_set_fault_has_its_reason(content: str, fault: str) -> None:
    with pytest.raises(KeySetFault) as raised:
        parse_key_set(content)
    assert str(raised.value) == fault


@pytest.mark.parametrize(
    ("jwk", "fault"),
    [
        (5, "it is not an object"),
        ({}, "its 'kty' is not RSA, EC or OKP"),
        ({"kty": "oct", "k": "AAAA"}, "its 'kty' is not RSA, EC or OKP"),
        ({"kty": 5}, "its 'kty' is not a text"),
        ({**EC, "alg": 5}, "its 'alg' is not a text"),
        ({**EC, "kid": 5}, "its 'kid' is not a text"),
        ({**EC, "crv": "secp256k1"}, "its 'crv' is not P-256, P-384, P-521 or Ed25519"),
        ({**EC, "crv": "Ed25519"}, "its 'crv' is not P-256, P-384, P-521 or Ed25519"),
        ({"kty": "OKP", "x": "AAAA"}, "its 'crv' is not P-256, P-384, P-521 or Ed25519"),
        ({**EC, "alg": "RS256"}, "its 'alg' is not one of its type"),
        ({**EC, "use": "enc"}, USE),
        ({**EC, "key_ops": ["sign"]}, USE),
        ({**EC, "key_ops": "verify"}, USE),
        ({**EC, "key_ops": []}, USE),
        ({"kty": "RSA", "e": "AQAB"}, MISSING),
        ({**RSA, "e": 65537}, MISSING),
        ({**EC, "y": None}, MISSING),
        ({**EC, "x": EC["y"], "y": EC["x"]}, INVALID),
        ({**EC, "x": "!"}, INVALID),
        ({**RSA, "n": "A"}, INVALID),
        ({"kty": "RSA", "n": modulus(2047), "e": "AQAB"}, "it has 2047 bits; RSA keys need 2048 to 8192"),
        ({"kty": "RSA", "n": modulus(8193), "e": "AQAB"}, "it has 8193 bits; RSA keys need 2048 to 8192"),
    ],
)
def test_key_fault_has_its_reason(jwk: Any, fault: str) -> None:
    with pytest.raises(KeySetFault) as raised:
        key_set(jwk)
    assert str(raised.value) == f"it has no key that can verify tokens; key 0: {fault}"
    assert [each.kind for each in key_set(jwk, EC).keys] == ["EC P-256"], "one key of another kind does not matter"


def test_key_set_fault_names_four_keys() -> None:
    with pytest.raises(KeySetFault) as raised:
        key_set(1, {}, 1, 1, 1)
    assert str(raised.value).split("; ") == [
        "it has no key that can verify tokens",
        "key 0: it is not an object",
        "key 1: its 'kty' is not RSA, EC or OKP",
        "key 2: it is not an object",
        "key 3: it is not an object",
    ]


@pytest.mark.parametrize(
    "members",
    [{}, {"use": "sig"}, {"use": "jwt-svid"}, {"use": None}, {"key_ops": ["sign", "verify"]}, {"alg": None}],
    ids=str,
)
def test_key_for_signatures_is_used(members: dict[str, Any]) -> None:
    (found,) = key_set({**EC, **members}).keys
    assert (found.id, found.kind, found.algorithm, found.thumbprint) == ("first", "EC P-256", None, key().thumbprint())


def test_key_set_has_up_to_64_keys() -> None:
    content = json.dumps({"keys": [EC] * MOST_KEYS})
    assert len(content) < LONGEST_KEY_SET
    found = parse_key_set(content)
    assert len(found.keys) == MOST_KEYS
    assert found.thumbprints == {key().thumbprint()}


@pytest.mark.parametrize("bits", [2048, 8192])
def test_rsa_key_has_2048_to_8192_bits(bits: int) -> None:
    assert key_set({"kty": "RSA", "n": modulus(bits), "e": "AQAB"}).keys[0].kind == "RSA"


@pytest.mark.parametrize(("algorithm", "kind"), ALGORITHMS.items())
def test_key_verifies_algorithms_of_its_type(algorithm: str, kind: str) -> None:
    token = parse_token(signed(claims_of_service(), key(kind), alg=algorithm))
    fitting = key_set(*public(key(kind))["keys"]).keys[0]
    assert fitting.verifies(token)
    assert not key_set(*public(key(kind, "second"))["keys"]).keys[0].verifies(token)
    for other in set(ALGORITHMS.values()) - {kind}:
        assert not key_set(*public(key(other))["keys"]).keys[0].fits(algorithm)


def test_key_with_an_algorithm_verifies_no_other() -> None:
    found = key_set({**RSA, "alg": "PS256"}).keys[0]
    assert found.algorithm == "PS256"
    assert found.verifies(parse_token(signed(claims_of_service(), key("RSA"), alg="PS256")))
    assert not found.verifies(parse_token(signed(claims_of_service(), key("RSA"), alg="RS256")))


@pytest.mark.parametrize(
    ("keys", "kid", "found"),
    [
        ([key()], "first", "first"),
        ([key()], None, "first"),
        ([key()], "second", None),
        ([key(), key("P-256", "second")], "second", "second"),
        ([key(), key("P-256", "second")], None, None),
        ([key(), key("RSA", "second")], None, "first"),
        ([key("RSA")], "first", None),
        ([key(), key()], "first", None),
        ([], None, None),
    ],
)
def test_key_set_selects_the_key_of_a_token(keys: list[Any], kid: str | None, found: str | None) -> None:
    every = KeySet(tuple(key_set(*public(each)["keys"]).keys[0] for each in keys))
    selected = every.select(parse_token(signed(claims_of_service(), kid=kid)))
    assert (selected and selected.id) == found
