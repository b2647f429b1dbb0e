"""Pseudonyms: the same for us every time, the same to nobody else."""

import re
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from service.domain.end_user import pseudonym
from tests.support import factories

TENANT = factories.tenant(id="ten_1", pseudonym_key="00" * 32)
END_USERS = st.text(min_size=1, max_size=256)


def test_a_known_pseudonym() -> None:
    """Computed with openssl: it must never change, or end users known to fal would become strangers."""
    assert pseudonym(TENANT, "customer-7") == "eu_c1fe2a6067c0858190db64b394f2d8f3"


@given(END_USERS)
def test_a_pseudonym_is_stable_short_and_plain(end_user: str) -> None:
    assert pseudonym(TENANT, end_user) == pseudonym(replace(TENANT, name="renamed", suspended=True), end_user)
    assert re.fullmatch("eu_[0-9a-f]{32}", pseudonym(TENANT, end_user))


@given(END_USERS, END_USERS)
def test_end_users_have_different_ones(one: str, other: str) -> None:
    assume(one != other)

    assert pseudonym(TENANT, one) != pseudonym(TENANT, other)


@given(END_USERS)
def test_an_end_user_has_another_one_at_every_tenant_and_under_every_key(end_user: str) -> None:
    other_tenant = factories.tenant()
    other_key = replace(TENANT, pseudonym_key="01" * 32)

    assert len({pseudonym(tenant, end_user) for tenant in (TENANT, other_tenant, other_key)}) == 3


@given(st.text(min_size=4, max_size=256))
def test_the_name_itself_is_not_in_it(end_user: str) -> None:
    assume(not re.fullmatch("[0-9a-f_eu]*", end_user))

    assert end_user not in pseudonym(TENANT, end_user)


def test_the_tenant_itself_is_an_end_user_that_nobody_can_name() -> None:
    assert pseudonym(TENANT, None) == pseudonym(TENANT, None)
    assert pseudonym(TENANT, None) not in {
        pseudonym(TENANT, name) for name in (TENANT.id, f"tenant:{TENANT.id}", "", "None", "tenant:")
    }
