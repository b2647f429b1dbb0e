"""Secrets at rest: sealed with GATEWAY_SECRET_KEY, so that a copy of Redis signs nothing and names no end user."""

import base64
import hashlib
from collections.abc import Sequence
from enum import StrEnum

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.errors import Unavailable


class Purpose(StrEnum):
    """What a sealer seals. Each purpose has its own key: a token of one is not accepted for another."""

    TENANTS = "tenants"
    ENDPOINTS = "webhook endpoints"
    UPLOAD_TICKETS = "upload tickets"
    ACCESS_TICKETS = "access tickets"


class Sealer:
    """Seals with the first key and opens with every key: put a new key first to rotate."""

    def __init__(self, secret_keys: Sequence[str], purpose: Purpose) -> None:
        derived = [Fernet(_derived(key, purpose)) for key in secret_keys]
        # Builds before 0.1.0 sealed tenants and endpoints without a purpose; rotate-secret-key seals them again.
        self._fernet = MultiFernet([*derived, *(Fernet(_without_purpose(key)) for key in secret_keys)])

    def seal(self, secret: str) -> str:
        """Encrypt a secret with the first key."""
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """Open a secret.

        Raises:
            Unavailable: no key opens it, by an operator's mistake.

        """
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise Unavailable("GATEWAY_SECRET_KEY does not open the secrets at rest; was a key removed?") from None

    def open_untrusted(self, sealed: str) -> str | None:
        """Open what a client sent; None: no key opens it."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except (InvalidToken, UnicodeError):
            return None


def _derived(secret: str, purpose: Purpose) -> bytes:
    info = f"seedance-gateway sealing of {purpose}".encode()
    return base64.urlsafe_b64encode(HKDF(SHA256(), 32, salt=None, info=info).derive(secret.encode()))


def _without_purpose(secret: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest())
