"""Ed25519 signatures of webhooks, and the JWKS that verifies them."""

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

USER_ID = "sandbox-user"
SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class Signer:
    private: Ed25519PrivateKey
    user_id: str = USER_ID

    @classmethod
    def from_seed(cls, seed: bytes, user_id: str = USER_ID) -> "Signer":
        return cls(Ed25519PrivateKey.from_private_bytes(seed), user_id)

    @classmethod
    def stored_in(cls, folder: Path) -> "Signer":
        """Load the key or create it. It survives a restart, because receivers cache the JWKS for up to a day."""
        path = folder / "webhook-key"
        if not path.exists():
            path.write_bytes(os.urandom(SEED_BYTES))
        return cls.from_seed(path.read_bytes())

    @classmethod
    def unpublished(cls) -> "Signer":
        return cls(Ed25519PrivateKey.generate())

    def headers(self, request_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        lines = (request_id, self.user_id, str(timestamp), hashlib.sha256(body).hexdigest())
        return {
            "X-Fal-Webhook-Request-Id": request_id,
            "X-Fal-Webhook-User-Id": self.user_id,
            "X-Fal-Webhook-Timestamp": str(timestamp),
            "X-Fal-Webhook-Signature": self.private.sign("\n".join(lines).encode()).hex(),
        }

    @property
    def jwk(self) -> dict[str, str]:
        """`x` has no padding: JWK requires base64url without it, which naive decoders reject."""
        raw = self.private.public_key().public_bytes_raw()
        x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        return {"kty": "OKP", "crv": "Ed25519", "x": x, "use": "sig", "alg": "EdDSA"}


def jwks(*signers: Signer) -> dict[str, list[dict[str, str]]]:
    return {"keys": [signer.jwk for signer in signers]}
