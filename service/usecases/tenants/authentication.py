"""Authentication by API key or by token, with a cache of 0.9 s, and the rate limit of a tenant's requests."""

import asyncio
import hashlib
from datetime import datetime
from typing import Final

from service.clock import Clock
from service.domain.credential_kinds import fault_of_key
from service.domain.identity.tokens import is_token
from service.domain.tenant import ApiKey, Scope, Tenant, parse_key
from service.errors import Forbidden, StoreUnavailable, Unauthenticated
from service.store.tenants.api_keys import ApiKeyStore
from service.store.tenants.rates import RateLimiter, RateLimitResult
from service.store.tenants.tenants import LookedUp
from service.usecases.credentials import used_at
from service.usecases.tenants.caller import CACHE_SECONDS, Caller, CredentialRef
from service.usecases.tenants.lookup_cache import LookupCache, insert
from service.usecases.tenants.read_limiter import ReadLimiter
from service.usecases.tenants.token_authentication import TokenAuthenticator

__all__ = ["UNKNOWN_KEY", "Authenticator", "Caller"]

_NOT_OPENED: Final = (None, 0.0)
#: One text for all invalid keys, so that a caller cannot learn which of these it is.
UNKNOWN_KEY: Final = "The API key is unknown, expired or revoked."


class Authenticator:
    def __init__(
        self, store: ApiKeyStore, tokens: TokenAuthenticator, rates: RateLimiter, reads: ReadLimiter, *, clock: Clock
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._rates = rates
        self._reads = reads
        self._clock = clock
        self._keys: LookupCache[LookedUp[ApiKey]] = LookupCache(store.look_up)
        self._opened: dict[bytes, tuple[Caller | None, float]] = {}
        """Whom the texts of keys and tokens have opened, by their hash, and until when: a text is parsed once in that
        time."""
        self._recorded_uses: dict[str, datetime] = {}
        """The minute of the last recorded use, by key id."""

    async def authenticate(self, text: str, scope: Scope) -> Caller:
        """Return the caller of a key or a token.

        Raises:
            Unauthenticated: the key is mistyped, unknown, expired or revoked; or no trusted issuer accepts the token.
            Forbidden: the key lacks the scope, or the tenant is suspended.

        """
        caller, now = await self._verified(text)
        check_rights(caller, scope)
        await self._record_use(caller.key, now)
        return caller

    async def identify(self, text: str) -> Caller:
        """Return the caller of a key with any scope, also of a suspended tenant. Raises Unauthenticated."""
        caller, now = await self._verified(text)
        await self._record_use(caller.key, now)
        return caller

    async def _verified(self, text: str) -> tuple[Caller, datetime]:
        digest = hashlib.sha256(text.encode()).digest()
        found, end = self._opened.get(digest, _NOT_OPENED)
        if asyncio.get_running_loop().time() >= end:
            found = await self._open(text, digest)
        now = self._clock()
        if found is None or not found.key.is_valid(now):
            raise Unauthenticated(UNKNOWN_KEY)
        return found, now

    async def _open(self, text: str, digest: bytes) -> Caller | None:
        """Look up the key of a text, or verify the token that it is. None: the key is unknown or not valid."""
        found, begun = await (self._tokens.open(text, digest) if is_token(text) else self._open_key(text))
        if found is not None:
            insert(self._opened, digest, (found, begun + CACHE_SECONDS), is_old=lambda entry: entry[1] < begun)
        return found

    async def _open_key(self, text: str) -> tuple[Caller | None, float]:
        parts = parse_key(text)
        if parts is None:
            raise Unauthenticated(fault_of_key(text))
        found, begun = await self._keys.get(parts.id, CACHE_SECONDS)
        if found is None or not found.record.opens(parts.secret, self._clock()):
            return None, begun
        return Caller(found.tenant, found.record), begun

    async def recheck(self, credential: CredentialRef, scope: Scope, *, oldest: float) -> Caller:
        """Return the caller that a call was begun with. A look-up older than ``oldest`` seconds is repeated.

        Raises as ``authenticate``.
        """
        if credential.is_key:
            found, _ = await self._keys.get(credential.key_id, oldest)
            caller = None if found is None else Caller(found.tenant, found.record)
        else:
            caller = await self._tokens.recheck(credential, oldest)
        now = self._clock()
        if caller is None or not caller.key.is_valid(now):
            raise Unauthenticated(UNKNOWN_KEY)
        check_rights(caller, scope)
        await self._record_use(caller.key, now)
        return caller

    async def confirm(self, credential: CredentialRef, scope: Scope) -> Caller:
        """Read the key and its tenant now: before a write that no script of the store checks, or for a ticket.

        Raises:
            Unauthenticated: the key is unknown, expired or revoked by now, or its tenant is deleted.
            Forbidden: the key lacks the scope, or the tenant is suspended by now.

        """
        caller = await self.current(credential)
        check_rights(caller, scope)
        return caller

    async def current(self, credential: CredentialRef) -> Caller:
        """Read a key with any scope and its tenant now, also a suspended tenant. Raises Unauthenticated."""
        if credential.is_key:
            found = await self._store.look_up(credential.key_id, None)
            caller = None if found is None else Caller(found.tenant, found.record)
        else:
            caller = await self._tokens.confirm(credential)
        if caller is None or not caller.key.is_valid(self._clock()):
            raise Unauthenticated(UNKNOWN_KEY)
        return caller

    async def count(self, tenant: Tenant) -> RateLimitResult | None:
        """Count a request against the tenant's rate limit. None: it has none, or Redis is unavailable."""
        return await self._rates.check(tenant.id, tenant.limits, self._clock())

    def count_read(self, tenant: Tenant, request_id: str) -> RateLimitResult:
        """Count a read of a request below ``/fal``, in this process."""
        return self._reads.check(tenant.id, request_id)

    def forget(self) -> None:
        """Clear the caches: the next request of each key reads Redis."""
        self._keys.clear()
        self._tokens.forget()
        self._opened.clear()

    async def _record_use(self, key: ApiKey, now: datetime) -> None:
        """Record the use of a key, at most once a minute for each process. A failure fails no request."""
        minute = now.replace(second=0, microsecond=0)
        if self._recorded_uses.get(key.id) == minute:
            return
        # Before the write: concurrent requests need no second write.
        insert(self._recorded_uses, key.id, minute, is_old=lambda recorded: recorded != minute)
        try:
            await self._store.note_use(key.id, used_at(minute))
        except StoreUnavailable:  # the next request tries again
            self._recorded_uses.pop(key.id, None)


def check_rights(caller: Caller, scope: Scope) -> None:
    """Raise Forbidden if the key lacks the scope, or the tenant is suspended."""
    if scope not in caller.key.scopes:
        what = "API key" if caller.identity is None else "token"
        raise Forbidden(f"The {what} lacks the scope {scope.value!r}.")
    if caller.tenant.suspended:
        why = caller.tenant.suspension and caller.tenant.suspension.reason
        raise Forbidden(f"The tenant is suspended: {why}" if why else "The tenant is suspended.")
