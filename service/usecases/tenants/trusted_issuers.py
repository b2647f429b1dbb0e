"""Trusted issuers of tenants, for operators."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from service.clock import Clock
from service.domain import ids
from service.domain.identity.key_sets import KeySet, KeySetFault, parse_key_set
from service.domain.identity.trusted_issuer import MOST_OF_ISSUER, MOST_OF_TENANT, MOST_PATTERNS, TrustedIssuer
from service.domain.tenant import Scope
from service.errors import Conflict, FieldError, Invalid, NotFound
from service.net.key_set_fetcher import FetchFailed
from service.store.tenants.trusted_issuers import TrustedIssuerStore
from service.usecases.tenants.key_sets import KeySets
from service.usecases.tenants.tenants import Tenants
from service.usecases.trail.recording import note_change

_FULL: Final = {
    "tenant_full": f"The tenant has {MOST_OF_TENANT} trusted issuers, the most that it can have. Remove one first.",
    "issuer_full": f"There are {MOST_OF_ISSUER} trusted issuers with this issuer, the most that there can be.",
    "patterns_full": f"There are {MOST_PATTERNS} trusted issuers with this issuer and a wildcard in the subject, the "
    "most that there can be. Name the subject exactly.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTrustedIssuer:
    """What an operator gives: one of ``jwks_url`` and ``jwks``, which is the text of a key set."""

    name: str = ""
    issuer: str
    audience: str
    subject: str
    claims: Mapping[str, str] = field(default_factory=dict)
    jwks_url: str | None = None
    jwks: str | None = None
    scopes: tuple[Scope, ...]


class TrustedIssuers:
    def __init__(self, store: TrustedIssuerStore, tenants: Tenants, key_sets: KeySets, *, clock: Clock) -> None:
        self._store = store
        self._tenants = tenants
        self._key_sets = key_sets
        self._clock = clock

    async def add(self, tenant_id: str, wanted: NewTrustedIssuer) -> TrustedIssuer:
        """Trust an issuer, after its key set was fetched once.

        Raises:
            NotFound: there is no such tenant.
            Invalid: the key set cannot be fetched or used; the error says why.
            Conflict: another trusted issuer accepts some of the same tokens, or a bound is reached.

        """
        await self._tenants.get(tenant_id)
        await self._usable_keys(wanted)
        now = self._clock()
        issuer = TrustedIssuer(
            id=ids.new(ids.TRUSTED_ISSUER, now),
            tenant_id=tenant_id,
            name=wanted.name,
            issuer=wanted.issuer,
            audience=wanted.audience,
            subject=wanted.subject,
            claims=wanted.claims,
            jwks_url=wanted.jwks_url,
            jwks=wanted.jwks,
            scopes=wanted.scopes,
            created_at=now,
        )
        await self._refuse_overlap(issuer)
        written = await self._store.insert(issuer)
        if written == "orphan":
            raise NotFound("There is no such tenant.")
        if written != "inserted":
            raise Conflict(_FULL[written])
        note_change(None, issuer, target=issuer.id)
        return issuer

    async def list(self, tenant_id: str) -> list[tuple[TrustedIssuer, str | None]]:
        """Return the trusted issuers of a tenant, the oldest first, each with the minute of its last use."""
        await self._tenants.get(tenant_id)
        found = await self._store.of_tenant(tenant_id)
        uses = await self._store.last_uses([issuer.id for issuer in found])
        return [(issuer, uses[issuer.id]) for issuer in found]

    async def get(self, tenant_id: str, issuer_id: str) -> tuple[TrustedIssuer, str | None]:
        """Return a trusted issuer with the minute of its last use. Raises NotFound."""
        issuer = await self._find(tenant_id, issuer_id)
        return issuer, (await self._store.last_uses([issuer.id]))[issuer.id]

    async def remove(self, tenant_id: str, issuer_id: str) -> None:
        """Trust an issuer no longer. All processes refuse its tokens within a second. Raises NotFound."""
        issuer = await self._find(tenant_id, issuer_id)
        if not await self._store.delete(issuer):
            raise NotFound("This tenant has no such trusted issuer.")
        note_change(issuer, None)

    async def _find(self, tenant_id: str, issuer_id: str) -> TrustedIssuer:
        found = await self._store.load([issuer_id]) if ids.is_id(ids.TRUSTED_ISSUER, issuer_id) else []
        if not found or found[0].tenant_id != tenant_id:
            raise NotFound("This tenant has no such trusted issuer.")
        return found[0]

    async def _usable_keys(self, wanted: NewTrustedIssuer) -> KeySet:
        """Return the key set. Raises Invalid."""
        pointer = "/jwks" if wanted.jwks_url is None else "/jwks_url"
        try:
            if wanted.jwks_url is not None:
                return await self._key_sets.fetch(wanted.jwks_url)
            return parse_key_set(wanted.jwks or "")
        except FetchFailed as fault:
            raise Invalid(FieldError(pointer, f"the key set cannot be fetched: {fault}", "jwks_unavailable")) from None
        except KeySetFault as fault:
            raise Invalid(FieldError(pointer, f"the key set cannot be used: {fault}", "jwks_unusable")) from None

    async def _refuse_overlap(self, wanted: TrustedIssuer) -> None:
        """Raise Conflict if a token can select this tenant and another one, or two rules of this tenant.

        Two requests at the same time can both pass. Tokens that both rules accept are then refused.
        """
        index = await self._store.index(wanted.issuer)
        for other in await self._store.load(index.overlapping(wanted.subject)):
            if wanted.overlaps(other):
                raise Conflict(
                    f"The trusted issuer {other.id} of tenant {other.tenant_id} accepts some of the same tokens; a "
                    "token must select one. Give another audience, a narrower subject, or other values of a claim."
                )
