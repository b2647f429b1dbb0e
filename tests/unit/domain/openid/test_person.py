"""Names and roles of operators by claims."""

from typing import Any

import pytest

from service.domain.openid.person import RoleRules, name_of, subject_of
from service.domain.operator import Role

RULES = RoleRules(
    {
        "groups": {"video-admins": Role.ADMIN, "video-oncall": Role.OPERATOR, "staff": Role.VIEWER},
        "/realm_access/roles": {"video": Role.OPERATOR},
        "https://example.com/role": {"boss": Role.ADMIN},
        "email": {"ann@example.com": Role.ADMIN},
        "contractor": {"true": Role.VIEWER},
    }
)
GROUPS = "groups"


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({GROUPS: ["staff", "video-oncall"]}, Role.OPERATOR),
        ({GROUPS: ["video-oncall", "video-admins", "staff"]}, Role.ADMIN),
        ({GROUPS: "video-admins"}, Role.ADMIN),
        ({GROUPS: "video-admins,staff"}, None),
        ({GROUPS: ["Video-Admins", " staff"]}, None),
        ({GROUPS: [["staff"], {"staff": 1}, None]}, None),
        ({GROUPS: {"staff": True}}, None),
        ({GROUPS: []}, None),
        ({GROUPS: None}, None),
        ({}, None),
        ({"realm_access": {"roles": ["video"]}}, Role.OPERATOR),
        ({"realm_access": ["video"]}, None),
        ({"/realm_access/roles": ["video"]}, None),
        ({"https://example.com/role": "boss"}, Role.ADMIN),
        ({"contractor": True}, Role.VIEWER),
        ({"email": "ann@example.com", "email_verified": True}, Role.ADMIN),
        ({"email": "ann@example.com", "email_verified": "true"}, None),
        ({"email": "ann@example.com", "email_verified": False}, None),
        ({"email": "ann@example.com"}, None),
        ({"email": ["ann@example.com"], "email_verified": True, GROUPS: "staff"}, Role.ADMIN),
    ],
)
def test_role_is_the_highest_of_the_rules(claims: dict[str, Any], role: Role | None) -> None:
    assert RULES.role_of(claims) is role
    assert RoleRules(RULES.by_claim, Role.VIEWER).role_of(claims) is (role or Role.VIEWER)


def test_email_by_pointer_has_to_be_verified_too() -> None:
    rules = RoleRules({"/email": {"ann@example.com": Role.ADMIN}})
    assert rules.role_of({"email": "ann@example.com"}) is None
    assert rules.role_of({"email": "ann@example.com", "email_verified": True}) is Role.ADMIN


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": "Ann Example", "email": "a@example.com"}, "Ann Example"),
        ({"name": "  ", "preferred_username": "ann"}, "ann"),
        ({"name": ["Ann"], "email": "a@example.com"}, "a@example.com"),
        ({"name": "Ann\r\nrole: admin\u202e\x00\u2028end"}, "Ann role: admin end"),
        ({"name": "a" * 5000}, "a" * 100),
        ({"name": f"{'a' * 99} b"}, "a" * 99),
        ({}, "unnamed"),
        ({"sub": "248289761001"}, "248289761001"),
        ({"sub": "\u200b"}, "unnamed"),
    ],
)
def test_name_is_one_bounded_line(claims: dict[str, Any], name: str) -> None:
    assert name_of(claims) == name


def test_subject_differs_by_issuer() -> None:
    assert subject_of("https://a.example.com", "7") != subject_of("https://b.example.com", "7")
