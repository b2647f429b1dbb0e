"""Tenants, for operators."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from service.clock import Clock
from service.domain import ids
from service.domain.signing import new_private, new_secret
from service.domain.tenant import Limits, Pause, Suspension, Tenant
from service.errors import NotFound, PreconditionFailed, TenantBusy
from service.store.tenants.tenants import TenantStore
from service.store.webhooks.endpoints import EndpointStore
from service.usecases.conflicts import LOST, Lost, Versions, check_version, retry_on_conflict
from service.usecases.trail.recording import note, note_change, note_target

_PAGE: Final = 200
_NO_LIMITS: Final = Limits()


class Tenants:
    def __init__(
        self, store: TenantStore, endpoints: EndpointStore, *, default_limits: Limits = _NO_LIMITS, clock: Clock
    ) -> None:
        """``default_limits``: those of a new tenant, unless it is created with others."""
        self.default_limits = default_limits
        self._store = store
        self._endpoints = endpoints
        self._clock = clock

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
