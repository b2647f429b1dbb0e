"""Tenants and their API keys, for operators."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from service.clock import Clock
from service.domain import ids
from service.domain.credential import hash_secret, is_credential_id
from service.domain.signing import new_private, new_secret
from service.domain.tenant import ApiKey, Limits, Pause, Scope, Suspension, Tenant, new_key_text
from service.errors import NotFound, PreconditionFailed, TenantBusy
from service.store.tenants.tenants import TenantStore
from service.store.webhooks.endpoints import EndpointStore
from service.usecases.conflicts import LOST, Lost, Versions, check_version, retry_on_conflict
from service.usecases.credentials import DEFAULT_OVERLAP, CredentialChanges
from service.usecases.trail.recording import note, note_change, note_target

_PAGE: Final = 200
_NO_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class NewKey:
    """``text`` is shown once and stored nowhere."""

    key: ApiKey
    text: str


class Tenants:
    def __init__(
        self, store: TenantStore, endpoints: EndpointStore, *, default_limits: Limits = _NO_LIMITS, clock: Clock
    ) -> None:
        """``default_limits``: those of a new tenant, unless it is created with others."""
        self.default_limits = default_limits
        self._store = store
        self._endpoints = endpoints
        self._clock = clock
        self._credentials = CredentialChanges("key", store.update_key, clock=clock)

    async def create(self, name: str, limits: Limits | None = None, *, require_end_user: bool = False) -> Tenant:
        now = self._clock()
        tenant = Tenant(
            id=ids.new(ids.TENANT, now),
            name=name,
            webhook_secret=new_secret(),
            pseudonym_key=secrets.token_hex(32),
            fal_signing_key=new_private(),
            created_at=now,
            limits=limits or self.default_limits,
            require_end_user=require_end_user,
        )
        if not await self._store.insert(tenant):
            raise AssertionError("Tenant id collision")
        note_change(None, tenant)
        note_target(tenant.id, tenant_id=tenant.id)
        return tenant

    async def page(self, *, limit: int = 100, after: str | None = None) -> list[Tenant]:
        return await self._store.page(limit=limit, after=after)

    async def get(self, tenant_id: str) -> Tenant:
        tenant = await self._store.load(tenant_id) if ids.is_id(ids.TENANT, tenant_id) else None
        if tenant is None:
            raise NotFound("There is no such tenant.")
        return tenant

    async def fal_signing_key(self, tenant_id: str) -> str:
        """Return the private key that signs the tenant's webhooks in fal's form. Raises NotFound."""
        found = await self._store.fal_signing_key(tenant_id) if ids.is_id(ids.TENANT, tenant_id) else None
        if found is None:
            raise NotFound("There is no such tenant.")
        return found

    async def update(self, tenant_id: str, change: Callable[[Tenant], Tenant], *, versions: Versions = None) -> Tenant:
        """Change a tenant, with ``versions`` only if the tenant still has one of them.

        Raises:
            PreconditionFailed: another request has changed the tenant.

        """

        async def attempt() -> Tenant | Lost:
            before = await self.get(tenant_id)
            check_version(before.version, versions, "tenant")
            changed = await self._store.update(change(before))
            if changed is not None:
                note_change(before, changed)
            return changed or LOST

        after = await retry_on_conflict(attempt)
        if after is LOST:
            raise PreconditionFailed("The tenant is being changed by other requests; try again.")
        return after

    async def suspend(self, tenant_id: str, reason: str | None = None, *, versions: Versions = None) -> Tenant:
        """Refuse the tenant's API keys. Its queued generations are dispatched.

        A second call changes the reason if it gives one, and never the time.
        """
        now = self._clock()

        def suspended(tenant: Tenant) -> Tenant:
            before = tenant.suspension or Suspension(None, now)
            return replace(tenant, suspended=True, suspension=Suspension(reason or before.reason, before.since))

        return await self.update(tenant_id, suspended, versions=versions)

    async def pause(self, tenant_id: str, reason: str, *, versions: Versions = None) -> Tenant:
        """Stop the dispatch of the tenant's generations. Its keys work. A second pause does not change the reason."""
        pause = Pause(reason, self._clock())
        return await self.update(
            tenant_id, lambda tenant: replace(tenant, paused=tenant.paused or pause), versions=versions
        )

    async def unsuspend(self, tenant_id: str, *, versions: Versions = None) -> Tenant:
        """End a suspension. A pause stays."""
        return await self.update(
            tenant_id, lambda tenant: replace(tenant, suspended=False, suspension=None), versions=versions
        )

    async def unpause(self, tenant_id: str, *, versions: Versions = None) -> Tenant:
        """End a pause. A suspension stays."""
        return await self.update(tenant_id, lambda tenant: replace(tenant, paused=None), versions=versions)

    async def resume(self, tenant_id: str, *, versions: Versions = None) -> Tenant:
        """End a suspension and a pause."""
        return await self.update(
            tenant_id,
            lambda tenant: replace(tenant, suspended=False, suspension=None, paused=None),
            versions=versions,
        )

    async def delete(self, tenant_id: str, *, drain: bool, versions: Versions = None) -> None:
        """Delete a tenant that has no work in flight.

        Raises:
            TenantBusy: it has work in flight. With ``drain`` it is suspended, so that a later call succeeds.
            PreconditionFailed: the tenant has another version than ``versions``.

        """
        check_version((tenant := await self.get(tenant_id)).version, versions, "tenant")
        if drain:
            tenant = await self.suspend(tenant_id, versions=versions)
        left = await self._store.delete(tenant, now=self._clock(), unchanged=versions is not None)
        if left is None:
            raise PreconditionFailed("The tenant has changed since it was read; read it again.")
        if left.total:
            hint = "it is suspended; delete it again when they have ended" if drain else "suspend or drain it first"
            raise TenantBusy(
                f"{left.generations} generations have not ended, {left.deliveries} webhooks are pending: {hint}.",
                in_flight=left.total,
                webhooks=left.deliveries,
            )
        note_change(tenant, None)

    async def reseal(self) -> int:
        """Encrypt all tenants' secrets with the first secret key. Return the number of tenants."""
        after = None
        while page := await self._store.page(limit=_PAGE, after=after):
            for tenant in page:
                await self._endpoints.reseal(tenant.id)
            after = page[-1].id
        count = await self._store.reseal()
        note(tenants=count)
        return count

    async def create_key(
        self,
        tenant_id: str,
        *,
        name: str = "",
        scopes: tuple[Scope, ...] = tuple(Scope),
        expires_at: datetime | None = None,
    ) -> NewKey:
        await self.get(tenant_id)
        return await self._create_key(tenant_id, name, scopes, expires_at)

    async def _create_key(
        self, tenant_id: str, name: str, scopes: tuple[Scope, ...], expires_at: datetime | None, *, part: str = ""
    ) -> NewKey:
        parts, text = new_key_text()
        key = ApiKey(
            id=parts.id,
            tenant_id=tenant_id,
            secret_hash=hash_secret(parts.secret),
            name=name,
            scopes=scopes,
            created_at=self._clock(),
            expires_at=expires_at,
        )
        if not await self._store.insert_key(key):
            raise NotFound("There is no such tenant.")
        note_change(None, key, target=key.id, part=part)
        return NewKey(key, text)

    async def list_keys(self, tenant_id: str) -> list[tuple[ApiKey, str | None]]:
        """Return the keys, each with the minute of its last use."""
        await self.get(tenant_id)
        return await self._with_uses(await self._store.list_keys(tenant_id))

    async def page_of_keys(
        self, tenant_id: str, *, limit: int, after: str | None = None
    ) -> list[tuple[ApiKey, str | None]]:
        """Return a part of the keys as ``list_keys``; ``after`` is the last id of the page before."""
        return await self._with_uses(await self._store.page_of_keys(tenant_id, limit=limit, after=after))

    async def _with_uses(self, found: list[ApiKey]) -> list[tuple[ApiKey, str | None]]:
        uses = await self._store.last_uses([key.id for key in found])
        return [(key, uses[key.id]) for key in found]

    async def rotate_key(self, tenant_id: str, key_id: str, *, overlap: timedelta = DEFAULT_OVERLAP) -> NewKey:
        """Create a successor with the same name, scopes and expiry. The old key works for ``overlap`` or to its expiry.

        Raises:
            NotFound: the tenant has no such key.
            Conflict: the key is revoked or has expired.
            OverlapPromised: the key was rotated before, with an overlap that ends later.

        """

        async def succeed(old: ApiKey) -> NewKey:
            return await self._create_key(tenant_id, old.name, old.scopes, old.expiry_of_successor, part="successor.")

        return await self._credentials.rotate(lambda: self._get_key(tenant_id, key_id), succeed, overlap)

    async def revoke_key(self, tenant_id: str, key_id: str) -> ApiKey:
        """Revoke a key. All processes refuse it within a second. A second call does not change the time."""
        return await self._credentials.revoke(lambda: self._get_key(tenant_id, key_id))

    async def get_key(self, tenant_id: str, key_id: str) -> tuple[ApiKey, str | None]:
        """Return a key with the minute of its last use. Raises NotFound."""
        (found,) = await self._with_uses([await self._get_key(tenant_id, key_id)])
        return found

    async def _get_key(self, tenant_id: str, key_id: str) -> ApiKey:
        key = await self._store.load_key(key_id) if is_credential_id(key_id) else None
        if key is None or key.tenant_id != tenant_id:
            raise NotFound("This tenant has no such key.")
        return key
