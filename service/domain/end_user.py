"""Pseudonyms of end users. fal receives a keyed hash, so only the gateway can trace abuse to an end user."""

import hashlib
import hmac
import re
from typing import Final

from service.domain.tenant import Tenant

_PREFIX: Final = "eu_"
_FORM: Final = re.compile(_PREFIX + r"[0-9a-f]{32}")


def is_pseudonym(text: str) -> bool:
    return _FORM.fullmatch(text) is not None


def packed(name: str) -> bytes:
    """Return the 16 bytes of a pseudonym, without its prefix."""
    return bytes.fromhex(name.removeprefix(_PREFIX))


def unpacked(value: bytes) -> str:
    return _PREFIX + value.hex()


def pseudonym(tenant: Tenant, end_user_id: str | None) -> str:
    """Return ``eu_`` and 32 hex digits of an HMAC under the tenant's key. Without an end user: of the tenant itself."""
    subject = b"tenant:" + tenant.id.encode() if end_user_id is None else b"end_user:" + end_user_id.encode()
    digest = hmac.new(bytes.fromhex(tenant.pseudonym_key), subject, hashlib.sha256)
    return _PREFIX + digest.hexdigest()[:32]
