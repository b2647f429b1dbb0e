"""Webhooks with fal's signature, verified as fal's documentation describes."""

import base64
import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from service.domain.signing import PRIVATE_PREFIX, new_private
from service.webhooks.fal_signing import fal_headers, key_set
from tests.support.factories import NOW

PRIVATE = new_private()


def public(private: str) -> Ed25519PublicKey:
    (key,) = key_set(private)["keys"]
    assert not key["x"].endswith("=")
    return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "="))


def verify(key: Ed25519PublicKey, headers: dict[str, str], body: bytes) -> None:
    names = ("request-id", "user-id", "timestamp")
    lines = [*(headers[f"x-fal-webhook-{name}"] for name in names), hashlib.sha256(body).hexdigest()]
    key.verify(bytes.fromhex(headers["x-fal-webhook-signature"]), "\n".join(lines).encode())


def test_signature_verifies_with_key_set() -> None:
    headers = fal_headers(PRIVATE, "gen_1", "ten_1", b"{}", NOW)
    verify(public(PRIVATE), headers, b"{}")
    assert headers["x-fal-webhook-timestamp"] == str(int(NOW.timestamp()))
    with pytest.raises(InvalidSignature):
        verify(public(new_private()), headers, b"{}")


@pytest.mark.parametrize("name", ["request-id", "user-id", "timestamp"])
def test_signature_of_changed_part_is_invalid(name: str) -> None:
    headers = fal_headers(PRIVATE, "gen_1", "ten_1", b"{}", NOW)
    with pytest.raises(InvalidSignature):
        verify(public(PRIVATE), headers, b"{ }")
    headers[f"x-fal-webhook-{name}"] += "0"
    with pytest.raises(InvalidSignature):
        verify(public(PRIVATE), headers, b"{}")


def test_key_set_has_no_secret() -> None:
    assert PRIVATE.removeprefix(PRIVATE_PREFIX)[:20] not in str(key_set(PRIVATE))
