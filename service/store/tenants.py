"""Tenants and their API keys."""

from dataclasses import replace
from typing import Final

from pydantic import TypeAdapter

from service.domain.tenant import ApiKey, Tenant
from service.store import keys
from service.store.redis import Redis, Script
from service.store.sealing import Sealer

_INSERT: Final = Script("insert")
_TENANT: Final = TypeAdapter(Tenant)
_API_KEY: Final = TypeAdapter(ApiKey)


class TenantStore:
    def __init__(self, redis: Redis, sealer: Sealer) -> None:
        self._redis = redis
        self._sealer = sealer

    async def insert(self, tenant: Tenant) -> bool:
        """False when the id is taken."""
        name = keys.tenant(tenant.id)
        reply = await self._redis.run(_INSERT, [name, keys.TENANTS, name], self._dump(tenant), tenant.id, "")
        return bool(reply == b"inserted")

    async def insert_key(self, key: ApiKey) -> bool:
        """False when its tenant does not exist."""
        reply = await self._redis.run(
            _INSERT,
            [keys.api_key(key.id), keys.api_keys_of_tenant(key.tenant_id), keys.tenant(key.tenant_id)],
            _API_KEY.dump_json(key),
            key.id,
            "1",
        )
        return bool(reply == b"inserted")

    async def load(self, tenant_id: str) -> Tenant | None:
        record = await self._redis.execute("GET", keys.tenant(tenant_id))
        return None if record is None else self._load(record)

    async def load_key(self, key_id: str) -> ApiKey | None:
        record = await self._redis.execute("GET", keys.api_key(key_id))
        return None if record is None else _API_KEY.validate_json(record)

    async def list(self) -> list[Tenant]:
        names = await self._redis.execute("ZRANGE", keys.TENANTS, 0, -1)
        records = await self._redis.gather(("GET", keys.tenant(name.decode())) for name in names)
        return [self._load(record) for record in records if record is not None]

    def _dump(self, tenant: Tenant) -> bytes:
        sealed = replace(
            tenant,
            webhook_secret=self._sealer.seal(tenant.webhook_secret),
            pseudonym_key=self._sealer.seal(tenant.pseudonym_key),
        )
        return _TENANT.dump_json(sealed)

    def _load(self, record: bytes) -> Tenant:
        tenant = _TENANT.validate_json(record)
        return replace(
            tenant,
            webhook_secret=self._sealer.open(tenant.webhook_secret),
            pseudonym_key=self._sealer.open(tenant.pseudonym_key),
        )
