"""Secrets at rest: sealed with GATEWAY_SECRET_KEY, so that a copy of Redis alone signs and unmasks nothing."""

import base64
import hashlib
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from service.errors import Unavailable


class Sealer:
    """The first key seals, every key opens: put a new one first to rotate."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(_fernet_key(key)) for key in secret_keys])

    def seal(self, secret: str) -> str:
        return self._fernet.encrypt(secret.encode()).decode()

    def open_ticket(self, sealed: str, *, seconds: int) -> str | None:
        """What was sealed at most so long ago; None for anything else, ours or not."""
        try:
            return self._fernet.decrypt(sealed.encode(), ttl=seconds).decode()
        except InvalidToken:
            return None

    def open(self, sealed: str) -> str:
        """Raises Unavailable where no key opens it: an operator's mistake, and no caller's."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise Unavailable("GATEWAY_SECRET_KEY does not open the secrets at rest; was a key taken out?") from None


def _fernet_key(secret: str) -> bytes:
    # Any long random text will do as a setting; Fernet wants 32 bytes in base64.
    return base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest())
