"""Authentication by API key, with a cache of one second, and the rate limit of a tenant's requests."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from service.clock import Clock
from service.domain.credential_kinds import fault_of_key
from service.domain.tenant import ApiKey, Scope, Tenant, parse_key
from service.errors import Forbidden, StoreUnavailable, Unauthenticated
from service.store.tenants.rates import RateLimiter, RateLimitResult
from service.store.tenants.tenants import LookedUp, TenantStore
from service.usecases.tenants.read_limiter import ReadLimiter
from service.usecases.tenants.tenants import used_at

#: A key is cached for this long: a revoked key works no longer than this.
_CACHE_SECONDS: Final = 0.9
#: An older look-up stays for this long: the next one of the key then transfers the record only if it changed.
_KEPT_SECONDS: Final = 10.0
_CACHE_SIZE: Final = 20_000
_NOT_OPENED: Final = (None, 0.0)
#: One text for all invalid keys, so that a caller cannot learn which of these it is.
UNKNOWN_KEY: Final = "The API key is unknown, expired or revoked."


@dataclass(frozen=True, slots=True)
class Caller:
    tenant: Tenant
    key: ApiKey


@dataclass(slots=True)
class _CachedLookup:
    """One look-up, shared by all requests while it runs and until it is too old."""

    begun: float
    task: asyncio.Task[LookedUp | None]

    def result(self) -> LookedUp | None:
        """Return the result; None also while the look-up runs, and if it failed."""
        task = self.task
        return task.result() if task.done() and not task.cancelled() and task.exception() is None else None


class Authenticator:
    def __init__(self, store: TenantStore, rates: RateLimiter, reads: ReadLimiter, *, clock: Clock) -> None:
        self._store = store
        self._rates = rates
        self._reads = reads
        self._clock = clock
        self._cache: dict[str, _CachedLookup] = {}
        self._opened: dict[bytes, tuple[LookedUp | None, float]] = {}
        """What texts of keys have opened, by their hash, and until when: a text is parsed once in that time."""
        self._recorded_uses: dict[str, datetime] = {}
        """The minute of the last recorded use, by key id."""

    async def authenticate(self, text: str, scope: Scope) -> Caller:
        """Return the caller of a key.

        Raises:
            Unauthenticated: the key is mistyped, unknown, expired or revoked.
            Forbidden: the key lacks the scope, or the tenant is suspended.

        """
        found, now = await self._verified(text)
        _check_rights(found, scope)
        await self._record_use(found.key, now)
        return Caller(found.tenant, found.key)

    async def identify(self, text: str) -> Caller:
        """Return the caller of a key with any scope, also of a suspended tenant. Raises Unauthenticated."""
        found, now = await self._verified(text)
        await self._record_use(found.key, now)
        return Caller(found.tenant, found.key)

    async def _verified(self, text: str) -> tuple[LookedUp, datetime]:
        digest = hashlib.sha256(text.encode()).digest()
        found, end = self._opened.get(digest, _NOT_OPENED)
        if asyncio.get_running_loop().time() >= end:
            found = await self._open(text, digest)
        now = self._clock()
        if found is None or not found.key.is_valid(now):
            raise Unauthenticated(UNKNOWN_KEY)
        return found, now

    async def _open(self, text: str, digest: bytes) -> LookedUp | None:
        """Look up the key of a text. None: it is unknown, not valid, or has another secret. Raises Unauthenticated."""
        parts = parse_key(text)
        if parts is None:
            raise Unauthenticated(fault_of_key(text))
        found, begun = await self._look_up(parts.id, _CACHE_SECONDS)
        if found is None or not found.key.opens(parts.secret, self._clock()):
            return None
        end = begun + _CACHE_SECONDS
        _insert(self._opened, digest, (found, end), is_old=lambda entry: entry[1] < begun)
        return found

    async def recheck(self, key_id: str, scope: Scope, *, oldest: float) -> Caller:
        """Return the caller of a key that a call was begun with. A look-up older than ``oldest`` seconds is repeated.

        Raises as ``authenticate``.
        """
        (found, _), now = await self._look_up(key_id, oldest), self._clock()
        if found is None or not found.key.is_valid(now):
            raise Unauthenticated(UNKNOWN_KEY)
        _check_rights(found, scope)
        await self._record_use(found.key, now)
        return Caller(found.tenant, found.key)

    async def confirm(self, key_id: str, scope: Scope) -> Caller:
        """Read the key and its tenant now: before a write that no script of the store checks, or for a ticket.

        Raises:
            Unauthenticated: the key is unknown, expired or revoked by now, or its tenant is deleted.
            Forbidden: the key lacks the scope, or the tenant is suspended by now.

        """
        caller = await self.current(key_id)
        _check_rights(caller, scope)
        return caller

    async def current(self, key_id: str) -> Caller:
        """Read a key with any scope and its tenant now, also a suspended tenant. Raises Unauthenticated."""
        found = await self._store.look_up(key_id, None)
        if found is None or not found.key.is_valid(self._clock()):
            raise Unauthenticated(UNKNOWN_KEY)
        return Caller(found.tenant, found.key)

    async def count(self, tenant: Tenant) -> RateLimitResult | None:
        """Count a request against the tenant's rate limit. None: it has none, or Redis is unavailable."""
        return await self._rates.check(tenant.id, tenant.limits, self._clock())

    def count_read(self, tenant: Tenant, request_id: str) -> RateLimitResult:
        """Count a read of a request below ``/fal``, in this process."""
        return self._reads.check(tenant.id, request_id)

    def forget(self) -> None:
        """Clear the cache: the next request of each key reads Redis."""
        self._cache.clear()
        self._opened.clear()

    async def _look_up(self, key_id: str, oldest: float) -> tuple[LookedUp | None, float]:
        """Return the key and its tenant, and when the look-up began."""
        now = asyncio.get_running_loop().time()
        cached = self._cache.get(key_id)
        if cached is None or now >= cached.begun + oldest:
            cached = self._start_lookup(key_id, cached, now)
        if (result := cached.result()) is not None:
            return result, cached.begun
        try:
            return await asyncio.shield(cached.task), cached.begun
        except StoreUnavailable:
            self._cache.pop(key_id, None)
            raise

    def _start_lookup(self, key_id: str, before: _CachedLookup | None, now: float) -> _CachedLookup:
        known = None if before is None else before.result()
        task = asyncio.create_task(self._store.look_up(key_id, known))
        cached = _CachedLookup(now, task)
        _insert(self._cache, key_id, cached, is_old=lambda entry: entry.begun < now - _KEPT_SECONDS)
        return cached

    async def _record_use(self, key: ApiKey, now: datetime) -> None:
        """Record the use of a key, at most once a minute for each process. A failure fails no request."""
        minute = now.replace(second=0, microsecond=0)
        if self._recorded_uses.get(key.id) == minute:
            return
        # Before the write: concurrent requests need no second write.
        _insert(self._recorded_uses, key.id, minute, is_old=lambda recorded: recorded != minute)
        try:
            await self._store.note_use(key.id, used_at(minute))
        except StoreUnavailable:  # the next request tries again
            self._recorded_uses.pop(key.id, None)


_K = TypeVar("_K")
_V = TypeVar("_V")


def _insert(entries: dict[_K, _V], key: _K, value: _V, *, is_old: Callable[[_V], bool]) -> None:
    """Insert or replace an entry as the last one, and delete the first ones as long as they are old or too many.

    An entry has kilobytes: a look-up's task refers to the context of its request. Keys of one call, and unknown keys
    that a client makes up, would otherwise hold that memory until there are _CACHE_SIZE of them.
    """
    entries.pop(key, None)
    entries[key] = value
    while len(entries) > 1 and (len(entries) > _CACHE_SIZE or is_old(entries[next(iter(entries))])):
        del entries[next(iter(entries))]


def _check_rights(found: LookedUp | Caller, scope: Scope) -> None:
    """Raise Forbidden if the key lacks the scope, or the tenant is suspended."""
    if scope not in found.key.scopes:
        raise Forbidden(f"The API key lacks the scope {scope.value!r}.")
    if found.tenant.suspended:
        why = found.tenant.suspension and found.tenant.suspension.reason
        raise Forbidden(f"The tenant is suspended: {why}" if why else "The tenant is suspended.")
