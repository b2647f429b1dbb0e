"""Logins that a browser has begun."""

import pytest

from service.domain.openid.pending import PendingLogin


def test_login_values_are_distinct_and_belong_to_one_secret() -> None:
    first, second = PendingLogin.new(), PendingLogin.new()
    values = [first.secret, first.state, first.nonce, first.code_verifier, second.state, second.nonce]
    assert len(set(values)) == len(values)
    assert PendingLogin.parse(first.secret) == first
    assert first.began(first.state)
    assert not first.began(second.state)
    assert len(first.code_verifier) == 43, "RFC 7636 demands 43 to 128 characters"


@pytest.mark.parametrize("state", ["", "a", "é" * 43])
def test_login_other_state_is_refused(state: str) -> None:
    assert not PendingLogin.new().began(state)


@pytest.mark.parametrize("text", ["", "short", "a" * 44])
def test_login_of_another_cookie_is_none(text: str) -> None:
    assert PendingLogin.parse(text) is None


def test_login_secret_is_in_no_representation() -> None:
    login = PendingLogin.new()
    assert login.secret not in repr(login)


def test_login_values_are_fixed_by_its_secret() -> None:
    """Computed with openssl. A login that began at one release ends at the next."""
    login = PendingLogin("x" * 43)
    assert login.state == "G1Aq3zQkXdeCVqS9ozaqvCP4lOIRJ1lfZRtCvwxqLV8"
    assert login.nonce == "Ehd_mVS-rE5PjUS5eWLWryM_U8_VFH40lqdFVEH88kE"
    assert login.code_verifier == "Az1x7hLYyXwAX2qM5VzXh0n4soMkfPOtynw8XVQQosA"
