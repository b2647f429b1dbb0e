"""Sentences for credentials of the wrong kind."""

from typing import Final

import pytest

from service.domain.credential_kinds import fault_of_key, fault_of_operator_token

#: fal's keys have an id in this form. A random one would give each process of the suite another name of the test.
UUID: Final = "4f0c3a52-6d7e-4b1a-9c0d-2f1e5a7b8c90"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("sgk_", "is mistyped"),
        ("sgk_1_2", "is mistyped"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a secret of webhooks"),
        ("whsk_a", "a secret of webhooks"),
        ("whpk_a", "a secret of webhooks"),
        (f"{UUID}:0123456789abcdef", "a key of fal"),
        (UUID, "not an API key"),
        ("gen_1", "an id"),
        ("upl_1", "an id"),
        ("a gen_1", "not an API key"),
        ("", "not an API key"),
        ("sgk", "not an API key"),
    ],
)
def test_key_of_another_kind_is_named(text: str, part: str) -> None:
    assert part in fault_of_key(text)


def test_operator_token_faults_name_a_key_of_a_tenant() -> None:
    needed = "/admin/v1 needs an operator's token (sgo_...)"
    assert fault_of_operator_token("sgk_1_2") == f"This is an API key of a tenant. {needed}."
    wrong = {fault_of_operator_token(text) for text in ("", "sgk", "a sgk_1_2")}
    assert wrong == {f"The token is wrong. {needed} or the admin token."}
