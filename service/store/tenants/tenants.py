"""Tenants, and what is kept of deleted ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Generic, Protocol, TypeVar

from pydantic import TypeAdapter
from pydantic_core import from_json

from service.domain.end_user import pseudonym
from service.domain.signing import new_private
from service.domain.tenant import Tenant
from service.store import keys
from service.store.redis.client import Redis, Script
from service.store.redis.records import insert_record
from service.store.tenants.sealing import Sealer

_UPDATE_TENANT: Final = Script("update_tenant")
_DELETE_TENANT: Final = Script("delete_tenant")
_FORGET_DEAD_LETTERS: Final = Script("forget_dead_letters")
_PAGE: Final = 200
#: Dead letters that one script call removes.
_PART: Final = 500
_TENANT: Final = TypeAdapter(Tenant)


class OfTenant(Protocol):
    """A record that names its tenant."""

    @property
    def tenant_id(self) -> str: ...


T = TypeVar("T", bound=OfTenant)


@dataclass(frozen=True, slots=True)
class LookedUp(Generic[T]):
    """A record, its tenant, and the bytes that both were read from."""

    record: T
    tenant: Tenant
    records: tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class DeletedTenant:
    """What is kept of a deleted tenant, as long as its money. ``pseudonym``: of generations without an end user."""

    name: str
    pseudonym: str
    deleted_at: datetime


@dataclass(frozen=True, slots=True)
class InFlight:
    """Work of a tenant that has not ended: generations, and pending deliveries."""

    generations: int
    deliveries: int

    @property
    def total(self) -> int:
        return self.generations + self.deliveries


_DELETED: Final = TypeAdapter(DeletedTenant)


class TenantStore:
    def __init__(self, redis: Redis, sealer: Sealer) -> None:
        self._redis = redis
        self._sealer = sealer

    async def insert(self, tenant: Tenant) -> bool:
        """Write a new tenant; False: the id exists.

        Raises:
            StoreFull: Redis accepts nothing new.

        """
        record = self._dump(tenant)
        return await insert_record(
            self._redis, keys.tenant(tenant.id), record, index=keys.TENANTS, name=tenant.id, owner=None
        )

    async def update(self, tenant: Tenant) -> Tenant | None:
        """Replace a tenant that still has this version; None: another process has changed it."""
        after = replace(tenant, version=tenant.version + 1)
        won = await self._redis.run(
            _UPDATE_TENANT,
            {
                "tenant": keys.tenant(tenant.id),
                **keys.DISPATCH_ORDER,
                "paused_tenants": keys.PAUSED_TENANTS,
                "tenant_queue": keys.queued_of_tenant(tenant.id),
            },
            {
                "version": tenant.version,
                "after": self._dump(after),
                "tenant_id": tenant.id,
                "is_paused": "1" if after.paused is not None else "",
            },
        )
        return after if won else None

    async def delete(self, tenant: Tenant, *, now: datetime, unchanged: bool = False) -> InFlight | None:
        """Delete a tenant with its API keys, trusted issuers and endpoints, unless it has work in flight. Return that.

        ``unchanged``: only if the tenant still has this version; None: another process has changed or deleted it.
        The records of its ended generations stay until their retention ends, and its name as long as its money.
        """
        record, use = keys.api_key(""), keys.api_key_used("")
        endpoint_prefix, _, health_suffix = keys.endpoint_health(f"{tenant.id}:*").partition("*")
        reply = await self._redis.run(
            _DELETE_TENANT,
            {
                "tenant": keys.tenant(tenant.id),
                "api_keys": keys.api_keys_of_tenant(tenant.id),
                "tenants": keys.TENANTS,
                "tenant_queue": keys.queued_of_tenant(tenant.id),
                "tenant_slots": keys.slots_of_tenant(tenant.id),
                "slotless": keys.slotless_of_tenant(tenant.id),
                "pending_deliveries": keys.pending_deliveries_of_tenant(tenant.id),
                "active_tenants": keys.ACTIVE_TENANTS,
                "idle_tenants": keys.IDLE_TENANTS,
                "paused_tenants": keys.PAUSED_TENANTS,
                "endpoints": keys.endpoints_of_tenant(tenant.id),
                "failing_receivers": keys.FAILING_RECEIVERS,
                "deleted_tenant": keys.deleted_tenant(tenant.id),
                "budget_shares": keys.BUDGET_SHARES,
                "waiting_tenants": keys.WAITING_TENANTS,
                "trusted_issuers": keys.trusted_issuers_of_tenant(tenant.id),
                "end_users": keys.end_users(tenant.id),
                "end_user_names": keys.end_user_names(tenant.id),
                "blocked_end_users": keys.blocked_end_users(tenant.id),
            },
            {
                "version": tenant.version if unchanged else "",
                "tenant_id": tenant.id,
                "api_key_prefix": record,
                "used_suffix": use.removeprefix(record),
                "endpoint_prefix": endpoint_prefix,
                "health_suffix": health_suffix,
                "deleted": _DELETED.dump_json(DeletedTenant(tenant.name, pseudonym(tenant, None), now)),
                "retention_seconds": keys.MONEY_RETENTION_SECONDS,
                "trusted_issuer_prefix": keys.trusted_issuer(""),
                "issuer_prefix": keys.trusted_issuers_by_name(""),
            },
        )
        if reply is None:
            return None
        left = InFlight(*reply)
        if not left.total:
            await self._forget_dead_letters(tenant.id)
        return left

    async def _forget_dead_letters(self, tenant_id: str) -> None:
        """Remove the dead letters of a deleted tenant from the index of all. After a crash, the purge does."""
        while await self._redis.run(
            _FORGET_DEAD_LETTERS,
            {
                "tenant": keys.tenant(tenant_id),
                "dead_letters": keys.dead_letters_of_tenant(tenant_id),
                "all_dead_letters": keys.DEAD_LETTERS,
            },
            {"limit": _PART},
        ):
            pass

    async def deleted(self, tenant_ids: Sequence[str]) -> dict[str, DeletedTenant]:
        """Return what is known of those of the tenants that were deleted."""
        if not tenant_ids:
            return {}
        records = await self._redis.execute("MGET", *map(keys.deleted_tenant, tenant_ids))
        return {
            name: _DELETED.validate_json(record)
            for name, record in zip(tenant_ids, records, strict=True)
            if record is not None
        }

    async def load_all(self, tenant_ids: Sequence[str]) -> dict[str, Tenant]:
        """Return those of the tenants that exist."""
        if not tenant_ids:
            return {}
        records = await self._redis.execute("MGET", *map(keys.tenant, tenant_ids))
        return {
            name: self._load(record) for name, record in zip(tenant_ids, records, strict=True) if record is not None
        }

    async def existing(self, tenant_ids: Sequence[str]) -> set[str]:
        """Return those of the tenants that exist."""
        if not tenant_ids:
            return set()
        scores = await self._redis.execute("ZMSCORE", keys.TENANTS, *tenant_ids)
        return {name for name, score in zip(tenant_ids, scores, strict=True) if score is not None}

    async def load(self, tenant_id: str) -> Tenant | None:
        """Return a tenant; None: there is none."""
        record = await self._redis.execute("GET", keys.tenant(tenant_id))
        return None if record is None else self._load(record)

    async def names(self, tenant_ids: Iterable[str]) -> dict[str, str]:
        """Return the names of those tenants that exist, all in one command."""
        wanted = list(dict.fromkeys(tenant_ids))
        if not wanted:
            return {}
        records = await self._redis.execute("MGET", *map(keys.tenant, wanted))
        known = zip(wanted, records, strict=True)
        return {tenant_id: from_json(record)["name"] for tenant_id, record in known if record is not None}

    async def fal_signing_key(self, tenant_id: str) -> str | None:
        """Return the key that signs webhooks in fal's form; make one for a tenant without; None: there is no tenant."""
        while (tenant := await self.load(tenant_id)) is not None and not tenant.fal_signing_key:
            await self.update(replace(tenant, fal_signing_key=new_private()))
        return None if tenant is None else tenant.fal_signing_key

    async def with_tenant(self, name: str, kind: TypeAdapter[T], before: LookedUp[T] | None) -> LookedUp[T] | None:
        """Return the record with this key in Redis, and its tenant; None: one of them does not exist.

        ``before`` is an earlier result: both records are then read in one command, and parsed if they have changed.
        """
        if before is None:
            record = await self._redis.execute("GET", name)
            if record is None:
                return None
            tenant_record = await self._redis.execute("GET", keys.tenant(kind.validate_json(record).tenant_id))
        else:
            record, tenant_record = await self._redis.execute("MGET", name, keys.tenant(before.tenant.id))
            if before.records == (record, tenant_record):
                return before
        if record is None or tenant_record is None:
            return None
        return LookedUp(kind.validate_json(record), self._load(tenant_record), (record, tenant_record))

    async def page(self, *, limit: int, after: str | None) -> list[Tenant]:
        """Return tenants, the oldest first; ``after`` is the last id of the page before."""
        lower = "-" if after is None else f"({after}"
        names = await self._redis.execute("ZRANGEBYLEX", keys.TENANTS, lower, "+", "LIMIT", 0, limit)
        records = await self._redis.get_many(keys.tenant(name.decode()) for name in names)
        return [self._load(record) for record in records if record is not None]

    async def reseal(self) -> int:
        """Seal the secrets of all tenants with the first key; return the number of tenants."""
        count, after = 0, None
        while page := await self.page(limit=_PAGE, after=after):
            for tenant in page:
                while (current := await self.load(tenant.id)) is not None and await self.update(current) is None:
                    pass  # an update by the admin API was first: repeat with its result
            count, after = count + len(page), page[-1].id
        return count

    def _dump(self, tenant: Tenant) -> bytes:
        sealed = replace(
            tenant,
            webhook_secret=self._sealer.seal(tenant.webhook_secret),
            pseudonym_key=self._sealer.seal(tenant.pseudonym_key),
            fal_signing_key=tenant.fal_signing_key and self._sealer.seal(tenant.fal_signing_key),
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
            fal_signing_key=tenant.fal_signing_key and self._sealer.open(tenant.fal_signing_key),
            retired_webhook_keys=tuple(
                replace(key, secret=self._sealer.open(key.secret)) for key in tenant.retired_webhook_keys
            ),
        )
