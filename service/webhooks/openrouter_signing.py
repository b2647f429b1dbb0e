"""Signs callbacks in OpenRouter's format with the tenant's webhook secrets.

OpenRouter's receivers take the secret as it is, as text. So ``whsec_`` is part of the key of this signature.
"""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

from service.domain.signing import SigningKey


def openrouter_headers(keys: Sequence[SigningKey], event_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """Return OpenRouter's two headers. ``event_id`` is the same at every attempt.

    Each key makes one signature of ``timestamp,body``, the current key the first: receivers read the first one only.
    """
    timestamp = str(int(now.timestamp()))
    message = timestamp.encode() + b"," + body
    signatures = (f"v1={hmac.new(key.secret.encode(), message, hashlib.sha256).hexdigest()}" for key in keys)
    return {
        "x-openrouter-idempotency-key": event_id,
        "x-openrouter-signature": ",".join((f"t={timestamp}", *signatures)),
    }
