"""Who is calling: keys looked up, remembered for a second, and compared in constant time; calls counted."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from service.clock import Clock
from service.domain.tenant import ApiKey, KeyText, Scope, Tenant, parse_key
from service.errors import Forbidden, StoreUnavailable, Unauthenticated
from service.store.tenants.rates import RateLimiter, RateLimitResult
from service.store.tenants.tenants import LookedUp, TenantStore
from service.usecases.tenants.tenants import used_at

#: How long a looked-up key is believed without asking again: a revoked one works no longer than this.
_BELIEVED_SECONDS: Final = 0.9
_MOST_REMEMBERED: Final = 20_000
#: One text for every key that opens nothing: a caller cannot learn from it which of these it is.
UNKNOWN_KEY: Final = "The API key is unknown, expired or revoked."


@dataclass(frozen=True, slots=True)
class Caller:
    tenant: Tenant
    key: ApiKey


@dataclass(slots=True)
class _Remembered:
    """One look-up, shared by all who ask while it is under way and for a moment after."""

    until: float
    asked: asyncio.Task[LookedUp | None]

    def answer(self) -> LookedUp | None:
        """What is known already; None also while nothing is."""
        asked = self.asked
        return asked.result() if asked.done() and not asked.cancelled() and asked.exception() is None else None


class Authenticator:
    def __init__(self, store: TenantStore, rates: RateLimiter, *, clock: Clock) -> None:
        self._store = store
        self._rates = rates
        self._clock = clock
        self._remembered: dict[str, _Remembered] = {}
        self._noted: dict[str, str] = {}

    async def authenticate(self, text: str, scope: Scope) -> Caller:
        """The caller behind a key.

        Raises:
            Unauthenticated: mistyped, unknown, expired or revoked.
            Forbidden: the key lacks the scope, or the tenant is suspended.

        """
        parts = parse_key(text)
        if parts is None:
            raise Unauthenticated("The API key is mistyped: it is incomplete or a character is wrong.")
        found, now = await self._look_up(parts), self._clock()
        if found is None or not found.key.opens(parts.secret, now):
            raise Unauthenticated(UNKNOWN_KEY)
        key, tenant = found.key, found.tenant
        if scope not in key.scopes:
            raise Forbidden(f"The API key lacks the scope {scope.value!r}.")
        if tenant.suspended:
            raise Forbidden("The tenant is suspended.")
        await self._note_use(key, now)
        return Caller(tenant, key)

    async def confirm(self, tenant_id: str) -> None:
        """Read the tenant's record now, before a write that no script of the store checks.

        Raises:
            Unauthenticated: the tenant was deleted after its key was looked up.
            Forbidden: the tenant was suspended after its key was looked up.

        """
        tenant = await self._store.load(tenant_id)
        if tenant is None:
            raise Unauthenticated(UNKNOWN_KEY)
        if tenant.suspended:
            raise Forbidden("The tenant is suspended.")

    async def count(self, caller: Caller) -> RateLimitResult | None:
        """Count a call against the tenant's rate; None: it has none, or the limiter is away."""
        return await self._rates.check(caller.tenant.id, caller.tenant.limits, self._clock())

    def forget(self) -> None:
        """Forget the remembered keys: the next call of each key reads Redis."""
        self._remembered.clear()

    async def _look_up(self, parts: KeyText) -> LookedUp | None:
        now = asyncio.get_running_loop().time()
        remembered = self._remembered.get(parts.id)
        if remembered is None or now >= remembered.until:
            remembered = self._ask(parts.id, remembered, now)
        if (answer := remembered.answer()) is not None:
            return answer
        try:
            return await asyncio.shield(remembered.asked)
        except StoreUnavailable:
            self._remembered.pop(parts.id, None)
            raise

    def _ask(self, key_id: str, before: _Remembered | None, now: float) -> _Remembered:
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        known = None if before is None else before.answer()
        asking = asyncio.create_task(self._store.look_up(key_id, known))
        remembered = self._remembered[key_id] = _Remembered(now + _BELIEVED_SECONDS, asking)
        return remembered

    async def _note_use(self, key: ApiKey, now: datetime) -> None:
        """Note it at most once a minute and process; a note that fails fails no call."""
        minute = used_at(now)
        if self._noted.get(key.id) == minute:
            return
        if len(self._noted) >= _MOST_REMEMBERED:
            self._noted.clear()
        self._noted[key.id] = minute  # before the write: calls of the same minute meanwhile need none
        try:
            await self._store.note_use(key.id, minute)
        except StoreUnavailable:  # the next call tries again; this one is none the worse
            self._noted.pop(key.id, None)
