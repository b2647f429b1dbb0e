"""A login that a browser has begun: one random secret in a cookie. All values that prove it are derived from it.

The gateway stores nothing before a login succeeds, so that requests without a login cost no memory.
"""

import base64
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

#: A browser forgets a login that takes longer.
LIFETIME: Final = timedelta(minutes=10)
_BYTES: Final = 32
_LENGTH: Final = 43
"""Characters of the text of ``_BYTES``."""


@dataclass(frozen=True, slots=True, repr=False)
class PendingLogin:
    secret: str

    @classmethod
    def new(cls) -> Self:
        return cls(secrets.token_urlsafe(_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the login of a cookie; None: the text is none."""
        return cls(text) if len(text) == _LENGTH else None

    @property
    def state(self) -> str:
        """Proves that the browser that returns is the one that began."""
        return self._derived("state")

    @property
    def nonce(self) -> str:
        """Proves that the ID token was issued for this login."""
        return self._derived("nonce")

    @property
    def code_verifier(self) -> str:
        """Proves that the client that sends the code is the one that began (PKCE, RFC 7636)."""
        return self._derived("code verifier")

    def began(self, state: str) -> bool:
        """Return whether a state is the one of this login."""
        return hmac.compare_digest(state.encode(), self.state.encode())

    def _derived(self, purpose: str) -> str:
        digest = hmac.digest(self.secret.encode(), purpose.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
