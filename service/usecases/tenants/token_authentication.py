"""Authentication by token (JWT): finds the trusted issuer that accepts it, and verifies its signature.

A token selects its tenant by its issuer, audience, subject and claims. It must be accepted by exactly one trusted
issuer of all tenants. What was verified is remembered by the hash of the token's text for a minute: within it, each use
costs what an API key costs, and the trusted issuer and its tenant are read as often as an API key.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from service.clock import Clock
from service.domain.identity.tokens import Token, TokenFault, caller_id, issuer_id_of, parse_token
from service.domain.identity.trusted_issuer import TrustedIssuer
from service.domain.tenant import ApiKey
from service.errors import Unauthenticated, Unavailable
from service.observability import log
from service.store.tenants.tenants import LookedUp
from service.store.tenants.trusted_issuers import IssuerIndex, TrustedIssuerStore
from service.usecases.tenants.caller import CACHE_SECONDS, Caller, CredentialRef, Identity
from service.usecases.tenants.key_sets import KeySets
from service.usecases.tenants.lookup_cache import LookupCache, insert

#: One text whatever does not match: a caller without a valid signature learns nothing of what is trusted.
NOT_ACCEPTED: Final = (
    "The token is not accepted: no trusted issuer has its issuer, audience, subject and claims, or its signature is "
    "not of its issuer."
)
#: A signature is verified again after this time: a key that its issuer has withdrawn works no longer than this, and
#: the time until the key set is fetched again.
_VERIFIED_FOR: Final = timedelta(seconds=60)
#: Trusted issuers whose rules are checked for one token.
_MOST_CANDIDATES: Final = 100
_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class _Verified:
    identity: Identity
    key_id: str
    until: datetime


class TokenAuthenticator:
    def __init__(self, store: TrustedIssuerStore, key_sets: KeySets, *, leeway: timedelta, clock: Clock) -> None:
        self._store = store
        self._key_sets = key_sets
        self._leeway = leeway
        self._clock = clock
        self._issuers: LookupCache[LookedUp[TrustedIssuer]] = LookupCache(store.look_up)
        self._indexes: LookupCache[IssuerIndex] = LookupCache(store.index)
        self._verified: dict[bytes, _Verified] = {}

    async def open(self, text: str, digest: bytes) -> tuple[Caller, float]:
        """Return the caller of a token, and when the look-up of its trusted issuer began. ``digest``: of the text.

        Raises:
            Unauthenticated: the token cannot be read, has expired, or exactly one trusted issuer does not accept it.
            Unavailable: the keys of its issuer cannot be fetched.

        """
        now = self._clock()
        verified = self._verified.get(digest)
        if verified is None or now >= verified.until:
            verified = await self._verify(text, now)
            insert(self._verified, digest, verified, is_old=lambda entry: entry.until < now)
        found, begun = await self._issuers.get(verified.identity.issuer_id, CACHE_SECONDS)
        if found is None:
            self._verified.pop(digest, None)  # another use of the same token may have removed it
            raise _refused("issuer_removed", NOT_ACCEPTED)
        return self._caller(found, verified.key_id, verified.identity), begun

    async def recheck(self, credential: CredentialRef, oldest: float) -> Caller | None:
        """Return the caller of a token that was verified before; None: its trusted issuer was removed."""
        found, _ = await self._issuers.get(_issuer_id(credential), oldest)
        return None if found is None else _rechecked(found, credential)

    async def confirm(self, credential: CredentialRef) -> Caller | None:
        """Do the same, with a read of Redis now."""
        found = await self._store.look_up(_issuer_id(credential), None)
        return None if found is None else _rechecked(found, credential)

    def forget(self) -> None:
        self._issuers.clear()
        self._indexes.clear()
        self._verified.clear()

    async def _verify(self, text: str, now: datetime) -> _Verified:
        try:
            token = parse_token(text)
            token.check_times(now, self._leeway)
        except TokenFault as fault:
            raise _refused(fault.reason, fault.detail) from None
        matching = await self._matching(token)
        if not matching:
            raise _refused("not_trusted", NOT_ACCEPTED)
        accepting = await self._accepting(matching, token)
        if not accepting:
            raise _refused("wrong_signature", NOT_ACCEPTED)
        if len(accepting) > 1:
            _log.warning("token_ambiguous", trusted_issuers=[issuer.id for issuer in accepting])
            raise _refused("ambiguous", "The token is accepted by several trusted issuers: it must select one tenant.")
        return self._remember(accepting[0], token, now)

    async def _matching(self, token: Token) -> list[TrustedIssuer]:
        """Return the trusted issuers whose rules match. The signature is not verified here."""
        ids: list[str] = []
        for name in token.issuers:
            index, _ = await self._indexes.get(name, CACHE_SECONDS)
            ids += index.of_subject(token.subject) if index is not None else []
        if len(ids) > _MOST_CANDIDATES:
            raise _refused("too_many_candidates", NOT_ACCEPTED)
        found = await asyncio.gather(*(self._issuers.get(issuer_id, CACHE_SECONDS) for issuer_id in ids))
        return [looked_up.record for looked_up, _ in found if looked_up is not None and looked_up.record.matches(token)]

    async def _accepting(self, matching: list[TrustedIssuer], token: Token) -> list[TrustedIssuer]:
        """Return those with a key that has signed the token. Raises Unavailable if none was found for lack of keys."""
        found, unavailable = [], None
        for issuer in matching:
            try:
                key = await self._key_sets.find(issuer, token)
            except Unavailable as error:
                unavailable = error
                continue
            if key is not None and key.verifies(token):
                found.append(issuer)
        if not found and unavailable is not None:
            raise unavailable
        return found

    def _remember(self, issuer: TrustedIssuer, token: Token, now: datetime) -> _Verified:
        identity = Identity(
            issuer_id=issuer.id,
            issuer=issuer.issuer,
            subject=token.subject,
            audience=issuer.audience,
            expires_at=token.expires_at,
        )
        return _Verified(identity, caller_id(issuer.id, token.subject), now + _VERIFIED_FOR)

    def _caller(self, found: LookedUp[TrustedIssuer], key_id: str, identity: Identity) -> Caller:
        key = _key(found.record, key_id, identity.expires_at + self._leeway)
        return Caller(found.tenant, replace(key, name=identity.subject), identity)


def _rechecked(found: LookedUp[TrustedIssuer], credential: CredentialRef) -> Caller:
    return Caller(found.tenant, _key(found.record, credential.key_id, credential.expires_at))


def _key(issuer: TrustedIssuer, key_id: str, expires_at: datetime | None) -> ApiKey:
    """Return the rights of a token in the form of a key: no text opens it."""
    return ApiKey(
        id=key_id,
        tenant_id=issuer.tenant_id,
        secret_hash="",
        scopes=issuer.scopes,
        created_at=issuer.created_at,
        expires_at=expires_at,
    )


def _issuer_id(credential: CredentialRef) -> str:
    return issuer_id_of(credential.key_id) or ""


def _refused(reason: str, detail: str) -> Unauthenticated:
    """Name the reason in the log line of the request, and return the error."""
    log.bind(token_refused=reason)
    return Unauthenticated(detail)
