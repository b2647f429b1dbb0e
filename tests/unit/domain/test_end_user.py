"""Pseudonyms of end users."""

import re
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.domain.end_user import is_pseudonym, packed, pseudonym, unpacked
from tests.support import factories

TENANT = factories.tenant(id="ten_1", pseudonym_key="00" * 32)
END_USERS = st.text(min_size=1, max_size=256)


def test_pseudonym_has_a_fixed_value() -> None:
    """Computed with openssl. A change would give all end users another pseudonym at fal."""
    assert pseudonym(TENANT, "customer-7") == "eu_c1fe2a6067c0858190db64b394f2d8f3"


@given(END_USERS)
def test_pseudonym_is_stable_and_of_its_form(end_user: str) -> None:
    assert pseudonym(TENANT, end_user) == pseudonym(replace(TENANT, name="renamed", suspended=True), end_user)
    assert re.fullmatch("eu_[0-9a-f]{32}", pseudonym(TENANT, end_user))


@given(END_USERS, END_USERS)
def test_pseudonyms_of_end_users_differ(one: str, other: str) -> None:
    assume(one != other)

    assert pseudonym(TENANT, one) != pseudonym(TENANT, other)


@given(END_USERS)
def test_pseudonym_differs_by_tenant_and_key(end_user: str) -> None:
    other_tenant = factories.tenant()
    other_key = replace(TENANT, pseudonym_key="01" * 32)

    assert len({pseudonym(tenant, end_user) for tenant in (TENANT, other_tenant, other_key)}) == 3


@given(st.text(min_size=4, max_size=256))
def test_pseudonym_does_not_contain_the_name(end_user: str) -> None:
    assume(not re.fullmatch("[0-9a-f_eu]*", end_user))

    assert end_user not in pseudonym(TENANT, end_user)


def test_pseudonym_of_the_tenant_belongs_to_no_end_user() -> None:
    assert pseudonym(TENANT, None) == pseudonym(TENANT, None)
    assert pseudonym(TENANT, None) not in {
        pseudonym(TENANT, name) for name in (TENANT.id, f"tenant:{TENANT.id}", "", "None", "tenant:")
    }


@given(st.binary(min_size=16, max_size=16))
def test_pseudonym_packed_round_trip(value: bytes) -> None:
    assert unpacked(value) == f"eu_{value.hex()}"
    assert packed(unpacked(value)) == value
    assert is_pseudonym(unpacked(value))


@pytest.mark.parametrize("text", ["", "eu_", "eu_" + "0" * 31, "eu_" + "0" * 33, "eu_" + "A" * 32, "xeu_" + "0" * 32])
def test_other_text_is_no_pseudonym(text: str) -> None:
    assert not is_pseudonym(text)
