"""Signs webhooks in fal's format with a tenant's own Ed25519 key. Receivers only change the URL of the key set.

The keys are random and sealed in the store. A key that is derived from a secret of the deployment would be a way to
guess that secret: everyone may read the public key.
"""

import base64
import hashlib
from datetime import datetime
from typing import Any

from service.domain import signing


def fal_headers(private: str, request_id: str, user_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """Return the headers of fal's webhooks. ``private``: ``whsk_`` and base64 of the seed."""
    timestamp = str(int(now.timestamp()))
    message = "\n".join((request_id, user_id, timestamp, hashlib.sha256(body).hexdigest()))
    return {
        "x-fal-webhook-request-id": request_id,
        "x-fal-webhook-user-id": user_id,
        "x-fal-webhook-timestamp": timestamp,
        "x-fal-webhook-signature": signing.sign(private, message.encode()).hex(),
    }


def key_set(private: str) -> dict[str, Any]:
    """Return the JWKS. ``x`` is base64url without padding, as the standard requires."""
    public = base64.urlsafe_b64encode(signing.public_bytes(private)).rstrip(b"=").decode()
    return {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": public, "use": "sig", "alg": "EdDSA"}]}
