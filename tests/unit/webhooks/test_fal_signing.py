"""Webhooks with fal's signature, verified as fal's documentation describes."""

import base64
import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from service.webhooks.fal_signing import WebhookSigner
from tests.support.factories import NOW, SECRET_KEY

OTHER = "another-secret-key-of-enough-length"


def public(signer: WebhookSigner, index: int = 0) -> Ed25519PublicKey:
    x = signer.key_set()["keys"][index]["x"]
    assert not x.endswith("=")
    return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(x + "="))


def verify(key: Ed25519PublicKey, headers: dict[str, str], body: bytes) -> None:
    names = ("request-id", "user-id", "timestamp")
    lines = [*(headers[f"x-fal-webhook-{name}"] for name in names), hashlib.sha256(body).hexdigest()]
    key.verify(bytes.fromhex(headers["x-fal-webhook-signature"]), "\n".join(lines).encode())


def test_signing_key_is_equal_in_every_process() -> None:
    headers = WebhookSigner([SECRET_KEY]).headers("gen_1", "ten_1", b"{}", NOW)
    verify(public(WebhookSigner([SECRET_KEY])), headers, b"{}")
    assert headers["x-fal-webhook-timestamp"] == str(int(NOW.timestamp()))


@pytest.mark.parametrize("name", ["request-id", "user-id", "timestamp"])
def test_signature_of_changed_part_is_invalid(name: str) -> None:
    signer = WebhookSigner([SECRET_KEY])
    headers = signer.headers("gen_1", "ten_1", b"{}", NOW)
    with pytest.raises(InvalidSignature):
        verify(public(signer), headers, b"{ }")
    headers[f"x-fal-webhook-{name}"] += "0"
    with pytest.raises(InvalidSignature):
        verify(public(signer), headers, b"{}")


def test_signing_key_is_published_before_rotation() -> None:
    both = WebhookSigner([OTHER, SECRET_KEY])
    headers = both.headers("gen_1", "ten_1", b"{}", NOW)
    verify(public(WebhookSigner([SECRET_KEY])), headers, b"{}")  # receivers with the earlier key set
    assert public(both, 0) == public(WebhookSigner([OTHER]))
    assert len(both.key_set()["keys"]) == 2


def test_key_set_has_no_secret() -> None:
    assert SECRET_KEY not in str(WebhookSigner([SECRET_KEY]).key_set())
    assert public(WebhookSigner([SECRET_KEY])) != public(WebhookSigner([OTHER]))
