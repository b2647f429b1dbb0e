"""API keys of tenants, and when each was last used."""

from dataclasses import replace
from typing import Final

from pydantic import TypeAdapter

from service.domain.identity.tokens import issuer_id_of
from service.domain.tenant import ApiKey
from service.store import keys
from service.store.redis.client import Redis
from service.store.redis.records import insert_record, record_use, replace_record
from service.store.tenants.tenants import LookedUp, TenantStore

_PAGE: Final = 200
_RECORD: Final = TypeAdapter(ApiKey)


class ApiKeyStore:
    def __init__(self, redis: Redis, tenants: TenantStore) -> None:
        self._redis = redis
        self._tenants = tenants

    async def insert(self, key: ApiKey) -> bool:
        """Write a new API key; False: its tenant does not exist.

        Raises:
            StoreFull: Redis accepts nothing new.

        """
        return await insert_record(
            self._redis,
            keys.api_key(key.id),
            _RECORD.dump_json(key),
            index=keys.api_keys_of_tenant(key.tenant_id),
            name=key.id,
            owner=keys.tenant(key.tenant_id),
        )

    async def update(self, key: ApiKey) -> ApiKey | None:
        """Replace an API key that still has this version; None: another process has changed it."""
        after = replace(key, version=key.version + 1)
        record = _RECORD.dump_json(after)
        won = await replace_record(self._redis, keys.api_key(key.id), record, version=key.version)
        return after if won else None

    async def look_up(self, key_id: str, before: LookedUp[ApiKey] | None) -> LookedUp[ApiKey] | None:
        """Return an API key with its tenant; None: there is none. ``before``: as ``TenantStore.with_tenant``."""
        return await self._tenants.with_tenant(keys.api_key(key_id), _RECORD, before)

    async def load(self, key_id: str) -> ApiKey | None:
        """Return an API key; None: there is none."""
        record = await self._redis.execute("GET", keys.api_key(key_id))
        return None if record is None else _RECORD.validate_json(record)

    async def of_tenant(self, tenant_id: str) -> list[ApiKey]:
        """Return the API keys of a tenant, the oldest first."""
        found: list[ApiKey] = []
        while page := await self.page(tenant_id, limit=_PAGE, after=found[-1].id if found else None):
            found += page
        return found

    async def page(self, tenant_id: str, *, limit: int, after: str | None) -> list[ApiKey]:
        """Return API keys of a tenant, the oldest first; ``after`` is the last id of the page before."""
        lower = "-" if after is None else f"({after}"
        index = keys.api_keys_of_tenant(tenant_id)
        names = await self._redis.execute("ZRANGEBYLEX", index, lower, "+", "LIMIT", 0, limit)
        records = await self._redis.get_many(keys.api_key(name.decode()) for name in names)
        return [_RECORD.validate_json(record) for record in records if record is not None]

    async def note_use(self, key_id: str, minute: str) -> None:
        """Record the minute (RFC 3339) in which an API key, or the trusted issuer of a caller, was used."""
        issuer_id = issuer_id_of(key_id)
        record = keys.api_key(key_id) if issuer_id is None else keys.trusted_issuer(issuer_id)
        used = keys.api_key_used(key_id) if issuer_id is None else keys.trusted_issuer_used(issuer_id)
        await record_use(self._redis, record, used, minute)

    async def last_uses(self, key_ids: list[str]) -> dict[str, str | None]:
        """Return when each API key was last used, to the minute (RFC 3339)."""
        moments = await self._redis.get_many(map(keys.api_key_used, key_ids))
        return {name: None if m is None else m.decode() for name, m in zip(key_ids, moments, strict=True)}
