"""Secrets at rest: sealed with GATEWAY_SECRET_KEY, so that a copy of Redis signs nothing and names no end user."""

import base64
import hashlib
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from service.errors import Unavailable


class Sealer:
    """Seals with the first key and opens with every key: put a new key first to rotate."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(_fernet_key(key)) for key in secret_keys])

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


def _fernet_key(secret: str) -> bytes:
    # The setting is any long random text; Fernet expects 32 bytes in base64.
    return base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest())
