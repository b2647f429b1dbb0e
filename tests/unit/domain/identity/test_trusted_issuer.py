"""Which tokens a trusted issuer accepts, and which rules accept one token together."""

import json
from typing import Any

import pytest

from service.domain.identity.tokens import parse_token
from tests.support.tokens import AUDIENCE, CLUSTER, claims_of_service, key, public, signed, trusted_issuer

WORKLOAD = "spiffe://example.org/orders"


@pytest.mark.parametrize(
    ("rule", "claims", "matches"),
    [
        ({}, {}, True),
        ({}, {"iss": f"{CLUSTER}/"}, False),
        ({}, {"iss": None}, False),
        ({}, {"aud": AUDIENCE}, True),
        ({}, {"aud": ["other", AUDIENCE]}, True),
        ({}, {"aud": ["other"]}, False),
        ({"subject": "system:serviceaccount:shop:*"}, {}, True),
        ({"subject": "system:serviceaccount:other:*"}, {}, False),
        ({"claims": {"team": "a*"}}, {"team": ["b", "ab"]}, True),
        ({"claims": {"team": "a*"}}, {"team": "b"}, False),
        ({"claims": {"team": "a", "/kubernetes.io/namespace": "shop"}}, {"team": "a"}, True),
        ({"claims": {"team": "a", "/kubernetes.io/namespace": "other"}}, {"team": "a"}, False),
        ({"issuer": "spiffe://example.org", "subject": WORKLOAD}, {"sub": WORKLOAD}, True),
        ({"issuer": "spiffe://example.org", "subject": WORKLOAD}, {"sub": WORKLOAD, "iss": None}, True),
        ({"issuer": "spiffe://other.org", "subject": "spiffe://**"}, {"sub": WORKLOAD}, False),
        ({"subject": WORKLOAD}, {"sub": WORKLOAD}, True),
    ],
    ids=str,
)
def test_rule_matches_a_token(rule: dict[str, Any], claims: dict[str, Any], matches: bool) -> None:
    token = parse_token(signed(claims_of_service(**claims)))
    assert trusted_issuer("ten_1", **rule).matches(token) is matches


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ({}, {}, True),
        ({}, {"issuer": "https://other.example"}, False),
        ({}, {"audience": "other"}, False),
        ({"subject": "a:*"}, {"subject": "*:b"}, True),
        ({"subject": "a:*"}, {"subject": "b:*"}, False),
        ({"claims": {"team": "a"}}, {"claims": {"place": "b"}}, True),
        ({"claims": {"team": "a"}}, {"claims": {"team": "*"}}, True),
        ({"claims": {"team": "a", "place": "b"}}, {"claims": {"team": "a", "place": "c"}}, False),
        ({}, {"jwks": json.dumps(public(key("P-256", "second")))}, False),
        ({}, {"jwks": json.dumps(public(key("P-256", "second"), key()))}, True),
        ({}, {"jwks": None, "jwks_url": "https://a.example/keys"}, False),
        ({"jwks": None, "jwks_url": "https://a.example"}, {"jwks": None, "jwks_url": "https://a.example"}, True),
        ({"jwks": None, "jwks_url": "https://a.example"}, {"jwks": None, "jwks_url": "https://b.example"}, False),
        ({"jwks": None}, {"jwks": None}, False),
    ],
)
def test_rules_overlap_if_one_token_matches_both(first: dict[str, Any], second: dict[str, Any], overlap: bool) -> None:
    one, other = trusted_issuer("ten_1", **first), trusted_issuer("ten_2", **second)
    assert (one.overlaps(other), other.overlaps(one)) == (overlap, overlap)
