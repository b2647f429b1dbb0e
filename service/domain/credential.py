"""Credentials that callers send as a bearer: API keys of tenants and tokens of operators.

A credential has the form ``<prefix>_<id>_<secret><checksum>``. The id finds the record. The checksum distinguishes a
typo from an unknown credential without a read of the store. The gateway stores only the SHA-256 of the secret, and
compares it in constant time.
"""

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Self

from service.domain.ids import ALPHABET

_ID_LENGTH: Final = 12
_SECRET_LENGTH: Final = 40  # 5 bits each: 200 bits
_CHECKSUM_LENGTH: Final = 7  # 32 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What keys and tokens have in common. It is valid until it expires or is revoked."""

    id: str
    secret_hash: str = field(repr=False)
    name: str = ""
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    rotated: bool = False
    """Whether it has a successor; ``expires_at`` is then the end of the overlap."""
    expiry_before_rotation: datetime | None = None
    """``expires_at`` as it was before the rotation; successors expire then."""
    version: int = 1

    @property
    def expiry_of_successor(self) -> datetime | None:
        return self.expiry_before_rotation if self.rotated else self.expires_at

    def is_valid(self, now: datetime) -> bool:
        """Return whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def opens(self, secret: str, now: datetime) -> bool:
        """Return whether the secret belongs to this credential, and the credential is valid now."""
        return hmac.compare_digest(hash_secret(secret), self.secret_hash) and self.is_valid(now)

    def retired(self, ends: datetime) -> Self:
        """Return it as rotated. It expires at ``ends``, unless it expires before or an earlier overlap ends later."""
        if self.rotated:
            return self
        expires_at = ends if self.expires_at is None else min(self.expires_at, ends)
        return replace(self, expires_at=expires_at, expiry_before_rotation=self.expires_at, rotated=True)


@dataclass(frozen=True, slots=True)
class KeyText:
    """The parts of the text of a credential."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return f"KeyText(id={self.id!r})"


class CredentialForm:
    """The form of one kind of credential, which its prefix names."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._form = re.compile(
            rf"{prefix}_(?P<id>[{ALPHABET}]{{{_ID_LENGTH}}})"
            rf"_(?P<secret>[{ALPHABET}]{{{_SECRET_LENGTH}}})(?P<checksum>[{ALPHABET}]{{{_CHECKSUM_LENGTH}}})"
        )

    def new(self) -> tuple[KeyText, str]:
        """Make a credential. Return its parts and its text, which is shown once."""
        parts = KeyText(_random(_ID_LENGTH), _random(_SECRET_LENGTH))
        return parts, f"{self.prefix}_{parts.id}_{parts.secret}{_checksum(parts.id, parts.secret)}"

    def parse(self, text: str) -> KeyText | None:
        """Return the parts of a credential; None: wrong form or checksum, so it is mistyped."""
        found = self._form.fullmatch(text)
        if found is None or found["checksum"] != _checksum(found["id"], found["secret"]):
            return None
        return KeyText(found["id"], found["secret"])


def is_credential_id(text: str) -> bool:
    return len(text) == _ID_LENGTH and set(ALPHABET).issuperset(text)


def hash_secret(secret: str) -> str:
    """Return the SHA-256 in hex. No slow hash is needed: the secret is 200 random bits, not a password."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _checksum(credential_id: str, secret: str) -> str:
    number = zlib.crc32(f"{credential_id}_{secret}".encode())
    return "".join(ALPHABET[number >> shift & 31] for shift in range((_CHECKSUM_LENGTH - 1) * 5, -1, -5))
