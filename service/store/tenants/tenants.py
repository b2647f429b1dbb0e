"""Tenants and their API keys."""

from dataclasses import dataclass, replace
from typing import Final

from pydantic import TypeAdapter

from service.domain.tenant import ApiKey, Tenant
from service.store import keys
from service.store.redis.client import Redis, Script
from service.store.tenants.sealing import Sealer

_INSERT: Final = Script("insert")
_UPDATE: Final = Script("update")
_UPDATE_TENANT: Final = Script("update_tenant")
_DELETE_TENANT: Final = Script("delete_tenant")
_NOTE_USE: Final = Script("note_use")
_PAGE: Final = 200
_TENANT: Final = TypeAdapter(Tenant)
_API_KEY: Final = TypeAdapter(ApiKey)


@dataclass(frozen=True, slots=True)
class LookedUp:
    """A key and its tenant, and the bytes they were read from."""

    key: ApiKey
    tenant: Tenant
    records: tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class InFlight:
    """Work of a tenant that has not ended: generations, and deliveries that are pending."""

    generations: int
    deliveries: int

    @property
    def total(self) -> int:
        return self.generations + self.deliveries


class TenantStore:
    def __init__(self, redis: Redis, sealer: Sealer) -> None:
        self._redis = redis
        self._sealer = sealer

    async def insert(self, tenant: Tenant) -> bool:
        """False when the id is taken. Raises StoreFull."""
        await self._redis.memory.demand_room()
        name = keys.tenant(tenant.id)
        reply = await self._redis.run(_INSERT, [name, keys.TENANTS, name], self._dump(tenant), tenant.id, "")
        return bool(reply == b"inserted")

    async def insert_key(self, key: ApiKey) -> bool:
        """False when its tenant does not exist. Raises StoreFull."""
        await self._redis.memory.demand_room()
        reply = await self._redis.run(
            _INSERT,
            [keys.api_key(key.id), keys.api_keys_of_tenant(key.tenant_id), keys.tenant(key.tenant_id)],
            _API_KEY.dump_json(key),
            key.id,
            "1",
        )
        return bool(reply == b"inserted")

    async def update(self, tenant: Tenant) -> Tenant | None:
        """Replace what is still the version this was made from; None when somebody else was first."""
        after = replace(tenant, version=tenant.version + 1)
        won = await self._redis.run(
            _UPDATE_TENANT,
            [
                keys.tenant(tenant.id),
                keys.FAIR,
                keys.RESTING,
                keys.PRESENT,
                keys.PAUSED,
                keys.queued_of_tenant(tenant.id),
            ],
            tenant.version,
            self._dump(after),
            tenant.id,
            "1" if after.paused is not None else "",
        )
        return after if won else None

    async def update_key(self, key: ApiKey) -> ApiKey | None:
        after = replace(key, version=key.version + 1)
        won = await self._redis.run(_UPDATE, [keys.api_key(key.id)], key.version, _API_KEY.dump_json(after))
        return after if won else None

    async def delete(self, tenant: Tenant) -> InFlight:
        """The tenant, its keys and endpoints; what its generations left goes with their retention.

        Answers what is in flight; unless that is nothing, nothing was deleted.
        """
        record, use = keys.api_key(""), keys.api_key_used("")
        generations, deliveries = await self._redis.run(
            _DELETE_TENANT,
            [
                keys.tenant(tenant.id),
                keys.api_keys_of_tenant(tenant.id),
                keys.TENANTS,
                keys.queued_of_tenant(tenant.id),
                keys.slots_of_tenant(tenant.id),
                keys.slotless_of_tenant(tenant.id),
                keys.pending_of_tenant(tenant.id),
                keys.FAIR,
                keys.RESTING,
                keys.PAUSED,
                keys.endpoints_of_tenant(tenant.id),
            ],
            tenant.id,
            record,
            use.removeprefix(record),
        )
        return InFlight(generations, deliveries)

    async def load(self, tenant_id: str) -> Tenant | None:
        record = await self._redis.execute("GET", keys.tenant(tenant_id))
        return None if record is None else self._load(record)

    async def look_up(self, key_id: str, before: LookedUp | None) -> LookedUp | None:
        """A key with its tenant; None: there is none.

        With what was found before, both are asked for at once, and read anew only where they have changed.
        """
        if before is None:
            return await self._look_up_first(key_id)
        records = tuple(await self._redis.execute("MGET", keys.api_key(key_id), keys.tenant(before.tenant.id)))
        if records == before.records:
            return before
        return None if None in records else self._looked_up(*records)

    async def _look_up_first(self, key_id: str) -> LookedUp | None:
        key_record = await self._redis.execute("GET", keys.api_key(key_id))
        if key_record is None:
            return None
        tenant_id = _API_KEY.validate_json(key_record).tenant_id
        tenant_record = await self._redis.execute("GET", keys.tenant(tenant_id))
        return None if tenant_record is None else self._looked_up(key_record, tenant_record)

    def _looked_up(self, key_record: bytes, tenant_record: bytes) -> LookedUp:
        key = _API_KEY.validate_json(key_record)
        return LookedUp(key, self._load(tenant_record), (key_record, tenant_record))

    async def load_key(self, key_id: str) -> ApiKey | None:
        record = await self._redis.execute("GET", keys.api_key(key_id))
        return None if record is None else _API_KEY.validate_json(record)

    async def page(self, *, limit: int, after: str | None) -> list[Tenant]:
        """By creation, oldest first."""
        lower = "-" if after is None else f"({after}"
        names = await self._redis.execute("ZRANGEBYLEX", keys.TENANTS, lower, "+", "LIMIT", 0, limit)
        records = await self._redis.gather(("GET", keys.tenant(name.decode())) for name in names)
        return [self._load(record) for record in records if record is not None]

    async def list_keys(self, tenant_id: str) -> list[ApiKey]:
        names = await self._redis.execute("ZRANGE", keys.api_keys_of_tenant(tenant_id), 0, -1)
        records = await self._redis.gather(("GET", keys.api_key(name.decode())) for name in names)
        return [_API_KEY.validate_json(record) for record in records if record is not None]

    async def note_use(self, key_id: str, moment: str) -> None:
        key = [keys.api_key(key_id), keys.api_key_used(key_id)]
        await self._redis.run(_NOTE_USE, key, moment, replicated=False)

    async def last_uses(self, key_ids: list[str]) -> dict[str, str | None]:
        moments = await self._redis.gather(("GET", keys.api_key_used(name)) for name in key_ids)
        return {name: None if m is None else m.decode() for name, m in zip(key_ids, moments, strict=True)}

    async def reseal(self) -> int:
        """Seal every tenant's secrets with the first key again; how many there are."""
        count, after = 0, None
        while page := await self.page(limit=_PAGE, after=after):
            for tenant in page:
                while (current := await self.load(tenant.id)) is not None and await self.update(current) is None:
                    pass  # lost to an admin's update: again, from what that wrote
            count, after = count + len(page), page[-1].id
        return count

    def _dump(self, tenant: Tenant) -> bytes:
        sealed = replace(
            tenant,
            webhook_secret=self._sealer.seal(tenant.webhook_secret),
            pseudonym_key=self._sealer.seal(tenant.pseudonym_key),
            retired_webhook_keys=tuple(
                replace(key, secret=self._sealer.seal(key.secret)) for key in tenant.retired_webhook_keys
            ),
        )
        return _TENANT.dump_json(sealed)

    def _load(self, record: bytes) -> Tenant:
        tenant = _TENANT.validate_json(record)
        return replace(
            tenant,
            webhook_secret=self._sealer.open(tenant.webhook_secret),
            pseudonym_key=self._sealer.open(tenant.pseudonym_key),
            retired_webhook_keys=tuple(
                replace(key, secret=self._sealer.open(key.secret)) for key in tenant.retired_webhook_keys
            ),
        )
