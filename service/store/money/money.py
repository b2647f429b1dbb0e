"""Budget windows, and the ledger that proves them."""

import base64
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from service.domain import end_user, ids
from service.domain.budgets import Scope, Standing, day
from service.store import keys
from service.store.redis.client import Redis
from service.store.redis.scan import keys_like

_PAGE: Final = 1000
#: Characters of an id in a hold in base64; as text an id has more.
_PACKED: Final = 22
#: Tenants whose packed id a process caches.
_CACHED_TENANTS: Final = 16_384


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger: the change in all three budget windows of its generation."""

    generation_id: str
    """``""`` in an adjustment of a day whose records are purged."""
    tenant_id: str
    """``""`` in a settlement: tenant and end user are in the generation's hold, which comes before."""
    end_user: str
    held: int
    spent: int
    created_at: datetime
    """Creation of its generation; midnight if only the day is known."""

    @property
    def windows(self) -> tuple[str, str, str]:
        return windows(self.tenant_id, self.end_user, day(self.created_at))


def windows(tenant_id: str, end_user: str, date: str) -> tuple[str, str, str]:
    """Keys of the budget windows of a generation that was created on this day, in the order of Scope."""
    return (
        keys.money_of_tenant(tenant_id, date[: len("2026-01")]),
        keys.money_of_end_user(tenant_id, end_user, date),
        keys.money_of_account(date),
    )


def window_keys(tenant_id: str, end_user: str, date: str) -> dict[str, str]:
    """The same keys by the names that scripts give them."""
    tenant_month, end_user_day, account_day = windows(tenant_id, end_user, date)
    return {"tenant_month": tenant_month, "end_user_day": end_user_day, "account_day": account_day}


def usage_keys(tenant_id: str, date: str) -> dict[str, str]:
    """Keys of the usage of a generation that was created on this day, by the names that scripts give them."""
    return {
        "usage": keys.usage(tenant_id, date),
        "account_usage": keys.usage(keys.ACCOUNT, date),
        "spending_of_day": keys.usage_of_end_users(tenant_id, date),
        "spending_of_month": keys.usage_of_end_users(tenant_id, date[: len("2026-01")]),
        "tenants_of_month": keys.tenants_of_month(date[: len("2026-01")]),
    }


def first_day(window: str) -> str:
    """First day of a window, by its key: ``2026-01-31``."""
    return f"{window.rpartition(':')[2]}-01"[: len("2026-01-31")]


class MoneyStore:
    """Reads budget windows and the ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def standing(self, key: str) -> Standing:
        """Return held and spent money of one window, by its key."""
        return (await self.standings_of([key]))[0]

    async def standings_of(self, windows: Sequence[str]) -> list[Standing]:
        """Return held and spent money of these windows, read together."""
        found = await self._redis.gather(("HMGET", key, "held", "spent", "count") for key in windows)
        return [Standing(*(int(value or 0) for value in values)) for values in found]

    async def standings(self, tenant_id: str, end_user: str, *, today: str, this_month: str) -> dict[Scope, Standing]:
        windows = (
            keys.money_of_tenant(tenant_id, this_month),
            keys.money_of_end_user(tenant_id, end_user, today),
            keys.money_of_account(today),
        )
        return {scope: await self.standing(key) for scope, key in zip(Scope, windows, strict=True)}

    async def ledger(self) -> AsyncIterator[Entry]:
        """Yield all lines of the ledger, the oldest first."""
        after = "-"
        while page := await self._redis.execute("XRANGE", keys.LEDGER, after, "+", "COUNT", _PAGE):
            for _, fields in page:
                yield _entry(fields)
            after = "(" + page[-1][0].decode()

    async def entries(self) -> int:
        """Count the lines of the ledger."""
        return int(await self._redis.execute("XLEN", keys.LEDGER))

    async def stored_keys(self) -> int:
        """Count all keys: a read of the windows scans them."""
        return int(await self._redis.execute("DBSIZE"))

    async def windows(self) -> AsyncIterator[str]:
        """Yield the keys of all budget windows. Scans the whole keyspace: for the audit only."""
        async for name in keys_like(self._redis, keys.MONEY):
            yield name


def packed(tenant_id: str, pseudonym: str) -> tuple[str, str]:
    """Pack both ids for a hold in the ledger: 16 bytes in base64 each, 21 characters less than as text."""
    return (
        _packed_tenant(tenant_id),
        _base64(end_user.packed(pseudonym)) if end_user.is_pseudonym(pseudonym) else pseudonym,
    )


@lru_cache(maxsize=_CACHED_TENANTS)  # base 32 in pure Python took a twentieth of a create
def _packed_tenant(tenant_id: str) -> str:
    return _base64(ids.packed(tenant_id)) if ids.is_id(ids.TENANT, tenant_id) else tenant_id


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _bytes(value: bytes) -> bytes | None:
    return base64.urlsafe_b64decode(value + b"==") if len(value) == _PACKED else None


def _tenant(value: bytes) -> str:
    known = _bytes(value)
    return value.decode() if known is None else ids.unpacked(ids.TENANT, known)


def _end_user(value: bytes) -> str:
    known = _bytes(value)
    return value.decode() if known is None else end_user.unpacked(known)


def _entry(fields: Sequence[bytes]) -> Entry:
    named = dict(zip(fields[::2], fields[1::2], strict=True))
    generation_id, on = named[b"g"].decode(), named.get(b"day")
    return Entry(
        generation_id,
        _tenant(named[b"t"]),
        _end_user(named[b"u"]),
        int(named[b"h"]),
        int(named.get(b"s", 0)),
        ids.created_at(generation_id) if on is None else datetime.fromisoformat(on.decode()).replace(tzinfo=UTC),
    )
