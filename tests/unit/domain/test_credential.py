"""Credentials: their text, until when they are valid, and their rotation."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.domain.credential import Credential, CredentialForm, KeyText, hash_secret, is_credential_id
from tests.support.factories import NOW

FORM = CredentialForm("sgk")
HOUR, DAY = NOW + timedelta(hours=1), NOW + timedelta(days=1)
SECRET = "0123456789abcdefghjkmnpqrstvwxyz01234567"
CREDENTIAL = Credential(id="k", secret_hash=hash_secret(SECRET), created_at=NOW)


def test_credential_text_has_a_fixed_form() -> None:
    """The checksum is the CRC-32 of id and secret, computed with zlib: a change would refuse all stored keys."""
    text = f"sgk_0123456789ab_{SECRET}0sjsfcy"
    assert FORM.parse(text) == KeyText("0123456789ab", SECRET)
    assert FORM.parse(text.upper()) is None
    assert CredentialForm("sgo").parse(text) is None
    assert hash_secret("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_credential_text_round_trip() -> None:
    form = CredentialForm("sgx")
    made = [form.new() for _ in range(200)]
    assert [form.parse(text) for _, text in made] == [parts for parts, _ in made]
    assert all(text.startswith(f"sgx_{parts.id}_{parts.secret}") for parts, text in made)
    assert {(len(parts.id), len(parts.secret)) for parts, _ in made} == {(12, 40)}
    assert len({parts.id for parts, _ in made} | {parts.secret for parts, _ in made}) == 400
    assert all(is_credential_id(parts.id) for parts, _ in made)
    assert not any(is_credential_id(parts.id[1:]) or is_credential_id(parts.secret) for parts, _ in made)
    assert not is_credential_id("o" * 12)


def test_credential_text_with_any_other_character_is_mistyped() -> None:
    text = FORM.new()[1]
    for place in range(len(text)):
        other = "0" if text[place] != "0" else "1"
        assert FORM.parse(text[:place] + other + text[place + 1 :]) is None
    assert FORM.parse(text + "0") is None
    assert FORM.parse(text[:-1]) is None


def test_credential_parts_do_not_show_the_secret() -> None:
    assert repr(KeyText("a", SECRET)) == "KeyText(id='a')"
    assert SECRET not in repr(CREDENTIAL)
    assert CREDENTIAL.secret_hash not in repr(CREDENTIAL)


@pytest.mark.parametrize(
    ("changes", "valid"),
    [
        ({}, True),
        ({"expires_at": HOUR}, True),
        ({"expires_at": NOW + timedelta(microseconds=1)}, True),
        ({"expires_at": NOW}, False),
        ({"revoked_at": NOW}, False),
        ({"revoked_at": HOUR}, False),
        ({"revoked_at": NOW, "expires_at": HOUR}, False),
    ],
)
def test_credential_is_valid_until_its_end(changes: dict[str, Any], valid: bool) -> None:
    credential = replace(CREDENTIAL, **changes)
    assert credential.is_valid(NOW) is valid
    assert credential.opens(SECRET, NOW) is valid
    assert not credential.opens(SECRET[1:], NOW)


@pytest.mark.parametrize(
    ("expires_at", "ends", "expected"), [(None, HOUR, HOUR), (DAY, HOUR, HOUR), (HOUR, DAY, HOUR), (HOUR, HOUR, HOUR)]
)
def test_credential_rotated_ends_with_the_overlap(
    expires_at: datetime | None, ends: datetime, expected: datetime
) -> None:
    before = replace(CREDENTIAL, expires_at=expires_at)
    assert before.expiry_of_successor == expires_at
    rotated = before.retired(ends)
    assert (rotated.rotated, rotated.expires_at, rotated.expiry_of_successor) == (True, expected, expires_at)
    assert rotated.retired(NOW) == rotated
