"""Callers: a tenant, and the key or the token that a request was authenticated with."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from service.domain.identity.tokens import issuer_id_of
from service.domain.tenant import ApiKey, Tenant

#: A key or a trusted issuer is cached for this long: a revoked one works no longer than this.
CACHE_SECONDS: Final = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who has sent a token, by the word of its issuer."""

    issuer_id: str
    """The tenant's trusted issuer."""
    issuer: str
    subject: str
    audience: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CredentialRef:
    """What the caller of a long call or of a ticket is checked by again. It has no secret."""

    key_id: str
    expires_at: datetime | None = None
    """End of the token; None for a key, whose record has its end."""

    @property
    def is_key(self) -> bool:
        return issuer_id_of(self.key_id) is None


@dataclass(frozen=True, slots=True)
class Caller:
    tenant: Tenant
    key: ApiKey
    """For a token: its rights and its end in the form of a key. The id is the same for all tokens of a subject."""
    identity: Identity | None = None

    @property
    def credential(self) -> CredentialRef:
        return CredentialRef(self.key.id, None if self.identity is None else self.key.expires_at)
