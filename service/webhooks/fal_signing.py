"""Signs webhooks in fal's format with the gateway's own key. Receivers only change the URL of the key set."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_PURPOSE: Final = b"seedance-gateway fal webhooks"
_SEED_BYTES: Final = 32


class WebhookSigner:
    """Derives one Ed25519 key from each secret key, so that every process has the same keys.

    The last secret key signs, and the public keys of all are published. Receivers cache the key set for a day: a new
    secret key, added first, is in their cache before the old one is removed.
    """

    def __init__(self, secret_keys: Sequence[str]) -> None:
        self._keys = [_derived(secret) for secret in secret_keys]

    def headers(self, request_id: str, user_id: str, body: bytes, now: datetime) -> dict[str, str]:
        timestamp = str(int(now.timestamp()))
        message = "\n".join((request_id, user_id, timestamp, hashlib.sha256(body).hexdigest()))
        return {
            "x-fal-webhook-request-id": request_id,
            "x-fal-webhook-user-id": user_id,
            "x-fal-webhook-timestamp": timestamp,
            "x-fal-webhook-signature": self._keys[-1].sign(message.encode()).hex(),
        }

    def key_set(self) -> dict[str, Any]:
        """Return the JWKS. ``x`` is base64url without padding, as the standard requires."""
        return {"keys": [_jwk(key) for key in self._keys]}


def _derived(secret: str) -> Ed25519PrivateKey:
    seed = HKDF(SHA256(), _SEED_BYTES, salt=None, info=_PURPOSE).derive(secret.encode())
    return Ed25519PrivateKey.from_private_bytes(seed)


def _jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    public = base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": public, "use": "sig", "alg": "EdDSA"}
