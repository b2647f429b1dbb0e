"""Tenants and their keys: made by an operator, checked at every call."""

import secrets
import time
from dataclasses import dataclass, field
from typing import Final

from service.domain import ids
from service.domain.tenant import ApiKey, KeyText, Scope, Tenant, hash_secret, new_key_text, parse_key
from service.domain.webhook import new_secret
from service.errors import Forbidden, NotFound, Unauthenticated
from service.store.tenants import TenantStore
from service.usecases.moves import Clock

#: How long a looked-up key is believed without asking again: a revoked one works no longer than this.
_BELIEVED_SECONDS: Final = 1.0
_MOST_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class NewKey:
    """``text`` is shown once and stored nowhere."""

    key: ApiKey
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Caller:
    tenant: Tenant
    key: ApiKey


class Tenants:
    def __init__(self, store: TenantStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._remembered: dict[str, tuple[float, ApiKey, Tenant]] = {}

    async def create(self, name: str) -> Tenant:
        now = self._clock()
        tenant = Tenant(
            id=ids.new(ids.TENANT, now),
            name=name,
            webhook_secret=new_secret(),
            pseudonym_key=secrets.token_hex(32),
            created_at=now,
        )
        if not await self._store.insert(tenant):
            raise AssertionError("80 random bits met twice")
        return tenant

    async def list(self) -> list[Tenant]:
        return await self._store.list()

    async def get(self, tenant_id: str) -> Tenant:
        tenant = await self._store.load(tenant_id) if ids.is_id(ids.TENANT, tenant_id) else None
        if tenant is None:
            raise NotFound("There is no such tenant.")
        return tenant

    async def create_key(self, tenant_id: str, *, name: str = "", scopes: tuple[Scope, ...] = tuple(Scope)) -> NewKey:
        parts, text = new_key_text()
        await self.get(tenant_id)
        key = ApiKey(
            id=parts.id,
            tenant_id=tenant_id,
            secret_hash=hash_secret(parts.secret),
            name=name,
            scopes=scopes,
            created_at=self._clock(),
        )
        if not await self._store.insert_key(key):
            raise NotFound("There is no such tenant.")
        return NewKey(key, text)

    async def authenticate(self, text: str, scope: Scope) -> Caller:
        """The caller behind a key.

        Raises:
            Unauthenticated: mistyped, unknown, expired or revoked.
            Forbidden: the key lacks the scope, or the tenant is suspended.

        """
        parts = parse_key(text)
        if parts is None:
            raise Unauthenticated("The API key is mistyped: it is incomplete or a character is wrong.")
        found = await self._look_up(parts)
        if found is None or not found[0].opens(parts.secret, self._clock()):
            raise Unauthenticated("The API key is unknown, expired or revoked.")
        key, tenant = found
        if scope not in key.scopes:
            raise Forbidden(f"The API key lacks the scope {scope.value!r}.")
        if tenant.suspended:
            raise Forbidden("The tenant is suspended.")
        return Caller(tenant, key)

    async def _look_up(self, parts: KeyText) -> tuple[ApiKey, Tenant] | None:
        remembered = self._remembered.get(parts.id)
        if remembered is not None and time.monotonic() < remembered[0]:
            return remembered[1:]
        key = await self._store.load_key(parts.id)
        tenant = None if key is None else await self._store.load(key.tenant_id)
        if key is None or tenant is None:
            self._remembered.pop(parts.id, None)
            return None
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[parts.id] = (time.monotonic() + _BELIEVED_SECONDS, key, tenant)
        return key, tenant
