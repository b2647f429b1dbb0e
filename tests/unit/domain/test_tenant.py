"""API keys: their form, their checksum, their hash, their validity."""

import dataclasses
import string
import zlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.credential import KeyText, hash_secret, is_credential_id
from service.domain.ids import ALPHABET
from service.domain.signing import SigningKey
from service.domain.tenant import (
    KEY_PREFIX,
    Limits,
    Scope,
    from_fal_form,
    new_key_text,
    parse_key,
)
from tests.support import factories
from tests.support.factories import NOW

PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " "


def test_key_text_round_trip() -> None:
    parts, text = new_key_text()

    assert parse_key(text) == parts
    assert text.startswith(f"{KEY_PREFIX}_{parts.id}_")
    assert (len(parts.id), len(parts.secret)) == (12, 40)


def test_key_texts_differ() -> None:
    assert len({new_key_text()[1] for _ in range(200)}) == 200


def test_key_with_one_wrong_character_is_refused() -> None:
    _, text = new_key_text()

    for position, right in enumerate(text):
        for wrong in PRINTABLE:
            if wrong != right:
                assert parse_key(text[:position] + wrong + text[position + 1 :]) is None, (position, wrong)


def test_key_with_lost_or_swapped_character_is_refused() -> None:
    _, text = new_key_text()

    for position in range(len(text)):
        assert parse_key(text[:position] + text[position + 1 :]) is None
        assert parse_key(text[:position] + text[position] + text[position:]) is None
    for position in range(len(text) - 1):
        swapped = text[:position] + text[position + 1] + text[position] + text[position + 2 :]
        assert swapped == text or parse_key(swapped) is None


def test_key_in_fal_form_is_the_same_key() -> None:
    parts, text = new_key_text()
    rest = text.removeprefix(f"{KEY_PREFIX}_{parts.id}_")
    for form in (text, f"{parts.id}:{text}", f"{KEY_PREFIX}_{parts.id}:{rest}"):
        assert parse_key(from_fal_form(form)) == parts, form


def test_key_in_fal_form_is_split_at_the_first_colon() -> None:
    """As fal's clients split it."""
    assert from_fal_form("sgk_1:2:3") == "sgk_1_2:3"
    assert from_fal_form("1:sgk_1_2:3") == "sgk_1_2:3"


def test_key_in_other_form_with_colon_is_refused() -> None:
    parts, text = new_key_text()
    other, other_text = new_key_text()
    rest = text.removeprefix(f"{KEY_PREFIX}_{parts.id}_")
    forms = [
        f":{text}",
        f"{text}:",
        f"{text}:{text}",
        f"{parts.id}:{other_text}",
        f"{other.id}:{text}",
        f"{parts.id[:-1]}:{text}",
        f"{parts.id}: {text}",
        f"{parts.id}::{text}",
        f"{parts.id}:{rest}",  # without the prefix, the redaction of logs would not find it
        f"{KEY_PREFIX}:{parts.id}_{rest}",
        f"{KEY_PREFIX}_{parts.id}:_{rest}",
        f"{KEY_PREFIX}_{other.id}:{rest}",
        ":",
        "",
    ]
    for form in forms:
        assert parse_key(from_fal_form(form)) is None, form
    assert parse_key(f"{parts.id}:{text}") is None, "/v1 takes the gateway's form only"


@given(st.text(max_size=80))
def test_other_text_is_no_key(text: str) -> None:
    assert parse_key(text) is None


@pytest.mark.parametrize("text", ["", "sgk", "sgk__", "sgk_" * 20, "x" * 64, "é" * 64, "\x00" * 64])
def test_text_close_to_a_key_is_no_key(text: str) -> None:
    assert parse_key(text) is None


def test_key_record_has_only_a_hash() -> None:
    key, text = factories.api_key("ten_1")
    parts = parse_key(text)
    assert parts is not None

    assert key.secret_hash == hash_secret(parts.secret)
    assert len(key.secret_hash) == 64
    assert parts.secret not in repr(key)
    assert parts.secret not in str(dataclasses.asdict(key))


def test_key_accepts_only_its_own_secret() -> None:
    key, text = factories.api_key("ten_1")
    parts, _ = new_key_text()
    own = parse_key(text)
    assert own is not None

    assert key.opens(own.secret, NOW)
    assert not key.opens(parts.secret, NOW)
    assert not key.opens("", NOW)
    assert not key.opens(key.secret_hash, NOW)


def test_key_expires() -> None:
    key, text = factories.api_key("ten_1", expires_at=NOW)
    own = parse_key(text)
    assert own is not None

    assert key.opens(own.secret, NOW - timedelta(microseconds=1))
    assert not key.opens(own.secret, NOW)


def test_key_revoked_is_refused() -> None:
    key, text = factories.api_key("ten_1", revoked_at=NOW)
    own = parse_key(text)
    assert own is not None

    assert not key.opens(own.secret, NOW)
    assert not key.opens(own.secret, NOW - timedelta(days=1))


def test_key_has_all_scopes_by_default() -> None:
    assert set(factories.api_key("ten_1")[0].scopes) == set(Scope)


def test_repr_has_no_secret() -> None:
    tenant = factories.tenant()
    parts = KeyText("id", "hush")

    assert "hush" not in repr(parts) + str(parts) + f"{parts}"
    assert tenant.webhook_secret not in repr(tenant)
    assert tenant.pseudonym_key not in repr(tenant)


def test_key_has_a_fixed_checksum() -> None:
    """Computed with zlib.crc32 and Crockford's digits. A change would refuse all keys."""
    parts = KeyText("0123456789ab", "0123456789" * 4)

    assert parse_key(f"sgk_{parts.id}_{parts.secret}2h300e7") == parts
    assert hash_secret("a") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


def test_key_of_other_characters_is_refused() -> None:
    for own_id, secret in (("é" * 12, "0" * 40), ("0" * 12, "é" * 40), ("0" * 12, "_" * 40), ("U" * 12, "0" * 40)):
        number = zlib.crc32(f"{own_id}_{secret}".encode())
        checksum = "".join(ALPHABET[number >> shift & 31] for shift in (30, 25, 20, 15, 10, 5, 0))

        assert parse_key(f"sgk_{own_id}_{secret}{checksum}") is None


def test_key_id_has_one_form() -> None:
    parts, _ = new_key_text()

    assert is_credential_id(parts.id)
    assert not [
        other for other in ("", parts.id[:-1], f"{parts.id}0", "o" * 12, "A" * 12, "_" * 12) if is_credential_id(other)
    ]


@pytest.mark.parametrize(("models", "allowed"), [(None, True), (("a/b",), True), (("a/c",), False), ((), False)])
def test_tenant_may_use_its_models(models: tuple[str, ...] | None, allowed: bool) -> None:
    assert Limits(models=models).may_use("a/b") is allowed


def test_tenant_signs_with_retired_keys_until_their_end() -> None:
    retired = SigningKey("whsec_b2xk", until=NOW)
    tenant = factories.tenant(retired_webhook_keys=(retired,))

    assert tenant.signing(NOW - timedelta(microseconds=1)) == (SigningKey(tenant.webhook_secret), retired)
    assert tenant.signing(NOW) == (SigningKey(tenant.webhook_secret),)
