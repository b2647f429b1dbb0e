"""Trusted issuers: whose tokens a tenant accepts instead of an API key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from service.domain.identity import patterns
from service.domain.identity.claims import texts_of
from service.domain.identity.key_sets import parse_key_set
from service.domain.identity.tokens import Token, trust_domain
from service.domain.tenant import Scope

MOST_OF_TENANT: Final = 20
#: Trusted issuers with the same ``issuer``, over all tenants; with a wildcard in their ``subject``.
MOST_OF_ISSUER: Final = 2000
MOST_PATTERNS: Final = 50
SPIFFE: Final = "spiffe://"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedIssuer:
    """A rule: tokens of this issuer for this audience, with this subject and these claims, act for the tenant.

    A rule is never changed: its id is in access tickets and open calls, which it has permitted.
    """

    id: str
    tenant_id: str
    name: str = ""
    issuer: str
    """``iss`` of the tokens, or ``spiffe://<trust domain>``: tokens of SPIFFE need no ``iss``."""
    audience: str
    subject: str
    """Pattern of ``sub``."""
    claims: Mapping[str, str] = field(default_factory=dict)
    """Patterns of claims, by the name of the claim or by a JSON pointer to it."""
    jwks_url: str | None = None
    jwks: str | None = field(default=None, repr=False)
    """The key set itself; None: it is fetched from ``jwks_url``."""
    scopes: tuple[Scope, ...]
    created_at: datetime

    def matches(self, token: Token) -> bool:
        """Return whether a token is one of this rule, apart from its signature and its times."""
        name = trust_domain(token.subject) if self.issuer.startswith(SPIFFE) else token.issuer
        return (
            name == self.issuer
            and self.audience in token.audiences
            and patterns.matches(self.subject, token.subject)
            and all(_has(token.claims, name, pattern) for name, pattern in self.claims.items())
        )

    def overlaps(self, other: "TrustedIssuer") -> bool:
        """Return whether a token certainly can match both rules: a proof, not a suspicion."""
        shared = self.claims.keys() & other.claims.keys()
        return (
            (self.issuer, self.audience) == (other.issuer, other.audience)
            and patterns.overlap(self.subject, other.subject)
            and all(patterns.overlap(self.claims[name], other.claims[name]) for name in shared)
            and self._has_keys_of(other)
        )

    def _has_keys_of(self, other: "TrustedIssuer") -> bool:
        """Two clusters may have the same name: their keys differ."""
        if self.jwks is None or other.jwks is None:
            return self.jwks_url is not None and self.jwks_url == other.jwks_url
        return bool(parse_key_set(self.jwks).thumbprints & parse_key_set(other.jwks).thumbprints)


def _has(claims: Mapping[str, Any], name: str, pattern: str) -> bool:
    """Return whether a claim matches. Of a list, one item has to match."""
    return any(patterns.matches(pattern, text) for text in texts_of(claims, name))
