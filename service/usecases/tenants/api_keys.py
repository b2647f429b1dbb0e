"""API keys of tenants, for operators."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from service.clock import Clock
from service.domain.credential import hash_secret, is_credential_id
from service.domain.tenant import ApiKey, Scope, new_key_text
from service.errors import NotFound
from service.store.tenants.api_keys import ApiKeyStore
from service.usecases.credentials import DEFAULT_OVERLAP, CredentialChanges
from service.usecases.tenants.tenants import Tenants
from service.usecases.trail.recording import note_change


@dataclass(frozen=True, slots=True)
class NewKey:
    """``text`` is shown once and stored nowhere."""

    key: ApiKey
    text: str


class ApiKeys:
    def __init__(self, store: ApiKeyStore, tenants: Tenants, *, clock: Clock) -> None:
        self._store = store
        self._tenants = tenants
        self._clock = clock
        self._credentials = CredentialChanges("key", store.update, clock=clock)

    async def create(
        self,
        tenant_id: str,
        *,
        name: str = "",
        scopes: tuple[Scope, ...] = tuple(Scope),
        expires_at: datetime | None = None,
    ) -> NewKey:
        await self._tenants.get(tenant_id)
        return await self._create(tenant_id, name, scopes, expires_at)

    async def _create(
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
        if not await self._store.insert(key):
            raise NotFound("There is no such tenant.")
        note_change(None, key, target=key.id, part=part)
        return NewKey(key, text)

    async def of_tenant(self, tenant_id: str) -> list[tuple[ApiKey, str | None]]:
        """Return the keys, each with the minute of its last use."""
        await self._tenants.get(tenant_id)
        return await self._with_uses(await self._store.of_tenant(tenant_id))

    async def page(self, tenant_id: str, *, limit: int, after: str | None = None) -> list[tuple[ApiKey, str | None]]:
        """Return a part of the keys as ``of_tenant``; ``after`` is the last id of the page before."""
        return await self._with_uses(await self._store.page(tenant_id, limit=limit, after=after))

    async def _with_uses(self, found: list[ApiKey]) -> list[tuple[ApiKey, str | None]]:
        uses = await self._store.last_uses([key.id for key in found])
        return [(key, uses[key.id]) for key in found]

    async def rotate(self, tenant_id: str, key_id: str, *, overlap: timedelta = DEFAULT_OVERLAP) -> NewKey:
        """Create a successor with the same name, scopes and expiry. The old key works for ``overlap`` or to its expiry.

        Raises:
            NotFound: the tenant has no such key.
            Conflict: the key is revoked or has expired.
            OverlapPromised: the key was rotated before, with an overlap that ends later.

        """

        async def succeed(old: ApiKey) -> NewKey:
            return await self._create(tenant_id, old.name, old.scopes, old.expiry_of_successor, part="successor.")

        return await self._credentials.rotate(lambda: self._get(tenant_id, key_id), succeed, overlap)

    async def revoke(self, tenant_id: str, key_id: str) -> ApiKey:
        """Revoke a key. All processes refuse it within a second. A second call does not change the time."""
        return await self._credentials.revoke(lambda: self._get(tenant_id, key_id))

    async def get(self, tenant_id: str, key_id: str) -> tuple[ApiKey, str | None]:
        """Return a key with the minute of its last use. Raises NotFound."""
        (found,) = await self._with_uses([await self._get(tenant_id, key_id)])
        return found

    async def _get(self, tenant_id: str, key_id: str) -> ApiKey:
        key = await self._store.load(key_id) if is_credential_id(key_id) else None
        if key is None or key.tenant_id != tenant_id:
            raise NotFound("This tenant has no such key.")
        return key
