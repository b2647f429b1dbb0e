"""Signatures of webhooks by Standard Webhooks 1.0: HMAC with a shared secret (v1) and, on request, Ed25519 (v1a)."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.errors import OverlapPromised

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  (the prefix that the standard defines)
PRIVATE_PREFIX: Final = "whsk_"
PUBLIC_PREFIX: Final = "whpk_"
_SECRET_BYTES: Final = 32
#: Most keys that sign concurrently. Each adds a signature to every header, and receivers try them one by one.
MOST_KEYS: Final = 10


@dataclass(frozen=True, slots=True)
class SigningKey:
    secret: str = field(repr=False)
    """``whsec_`` and base64."""
    private: str | None = field(default=None, repr=False)
    """``whsk_`` and base64 of an Ed25519 seed; None: no v1a signature."""
    until: datetime | None = None
    """When its overlap ends and it stops signing; None: it is the current key."""


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def new_key(*, ed25519: bool) -> SigningKey:
    return SigningKey(new_secret(), new_private() if ed25519 else None)


def new_private() -> str:
    return PRIVATE_PREFIX + base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()


def public_bytes(private: str) -> bytes:
    return _ed25519(private).public_key().public_bytes_raw()


def sign(private: str, message: bytes) -> bytes:
    return _ed25519(private).sign(message)


def rotated(
    keys: Sequence[SigningKey], successor: SigningKey, *, overlap: timedelta, now: datetime
) -> tuple[SigningKey, ...]:
    """Return the keys after a rotation, the successor first.

    The current key continues to sign for the overlap, and each earlier key until its own overlap ends. An overlap of
    zero ends all of them at once: for a leaked secret.

    Raises:
        OverlapPromised: more than MOST_KEYS would sign, so an earlier key would have to end before its overlap does.

    """
    if not overlap:
        return (successor,)
    retired = in_force((replace(key, until=key.until or now + overlap) for key in keys), now)
    if len(retired) >= MOST_KEYS:
        first = min(key.until for key in retired if key.until is not None)
        raise OverlapPromised(
            f"{len(retired)} secrets are in use, the most there may be. Rotate again when the first overlap has ended,"
            f" at {first:%Y-%m-%dT%H:%M:%SZ}, or with an overlap of 0, which ends all of them."
        )
    return (successor, *retired)


def in_force(keys: Iterable[SigningKey], now: datetime) -> tuple[SigningKey, ...]:
    return tuple(key for key in keys if key.until is None or now < key.until)


def signed_headers(keys: str | Sequence[SigningKey], delivery_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """Return the three Standard Webhooks headers. Each key makes one signature of ``id.timestamp.body``."""
    timestamp = str(int(now.timestamp()))
    message = b".".join((delivery_id.encode(), timestamp.encode(), body))
    signing = (SigningKey(keys),) if isinstance(keys, str) else keys
    signatures = " ".join(signature for key in signing for signature in _signatures(key, message))
    return {"webhook-id": delivery_id, "webhook-timestamp": timestamp, "webhook-signature": signatures}


def _signatures(key: SigningKey, message: bytes) -> Iterable[str]:
    secret = base64.b64decode(key.secret.removeprefix(SECRET_PREFIX))
    yield f"v1,{base64.b64encode(hmac.new(secret, message, hashlib.sha256).digest()).decode()}"
    if key.private is not None:
        yield f"v1a,{base64.b64encode(sign(key.private, message)).decode()}"


def _ed25519(private: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(private.removeprefix(PRIVATE_PREFIX)))
