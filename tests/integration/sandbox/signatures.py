"""Verification of webhooks as a receiver does it, from fal's description, without code of the sandbox's signer."""

import base64
import hashlib

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.integration.sandbox.receiver import Delivery


class Verifier:
    def __init__(self, keys: list[dict[str, str]]) -> None:
        self.keys = [Ed25519PublicKey.from_public_bytes(_decode(key["x"])) for key in keys]

    @classmethod
    async def published(cls, http: httpx.AsyncClient) -> "Verifier":
        return cls((await http.get("/rest/.well-known/jwks.json")).json()["keys"])

    def accepts(self, delivery: Delivery) -> bool:
        headers = delivery.headers
        message = "\n".join(
            (
                headers["X-Fal-Webhook-Request-Id"],
                headers["X-Fal-Webhook-User-Id"],
                headers["X-Fal-Webhook-Timestamp"],
                hashlib.sha256(delivery.raw).hexdigest(),
            )
        )
        signature = bytes.fromhex(headers["X-Fal-Webhook-Signature"])
        return any(_verifies(key, signature, message.encode()) for key in self.keys)


def _verifies(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
