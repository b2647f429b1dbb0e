"""Money as it stands: windows, usage by day, and the ledger that proves both."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from service.domain import ids
from service.domain.money import Scope, Standing, day
from service.domain.usage import Day, EndUserSpending
from service.store import keys
from service.store.redis import Redis

_PAGE: Final = 1000
#: End users one usage report names: those who spent most.
MOST_END_USERS: Final = 1000
_COUNTED: Final = ("created", "spent")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger: what it changed in all three windows of its generation."""

    generation_id: str
    """``""`` in an adjustment of a day whose records are purged."""
    tenant_id: str
    end_user: str
    held: int
    spent: int
    created_at: datetime
    """Of its generation; midnight where only the day is known."""

    @property
    def windows(self) -> tuple[str, str, str]:
        return windows(self.tenant_id, self.end_user, day(self.created_at))


def windows(tenant_id: str, end_user: str, date: str) -> tuple[str, str, str]:
    """Keys of the windows of a generation that was created on this day, in the order of Scope."""
    return (
        keys.money_of_tenant(tenant_id, date[: len("2026-01")]),
        keys.money_of_end_user(tenant_id, end_user, date),
        keys.money_of_account(date),
    )


def first_day(window: str) -> str:
    """Of a window, by its key: ``2026-01-31``."""
    return f"{window.rpartition(':')[2]}-01"[: len("2026-01-31")]


class MoneyStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def standing(self, key: str) -> Standing:
        held, spent, count = await self._redis.execute("HMGET", key, "held", "spent", "count")
        return Standing(int(held or 0), int(spent or 0), int(count or 0))

    async def standings(self, tenant_id: str, end_user: str, *, today: str, this_month: str) -> dict[Scope, Standing]:
        windows = (
            keys.money_of_tenant(tenant_id, this_month),
            keys.money_of_end_user(tenant_id, end_user, today),
            keys.money_of_account(today),
        )
        return {scope: await self.standing(key) for scope, key in zip(Scope, windows, strict=True)}

    async def days(self, tenant_id: str, dates: Sequence[str]) -> list[Day]:
        """One entry per date, empty ones too."""
        found = await self._redis.gather(("HGETALL", keys.usage(tenant_id, date)) for date in dates)
        return [_day(date, fields) for date, fields in zip(dates, found, strict=True)]

    async def end_users(self, tenant_id: str, dates: Sequence[str]) -> list[EndUserSpending]:
        """Those who spent most over these dates, the highest first."""
        days = [keys.usage_of_end_users(tenant_id, date) for date in dates]
        rows = await self._redis.execute("ZUNION", len(days), *days, "WITHSCORES")
        spent = sorted(zip(rows[::2], rows[1::2], strict=True), key=lambda row: -float(row[1]))[:MOST_END_USERS]
        names = [name.decode() for name, _ in spent]
        known = await self._redis.gather(("HGET", keys.end_user(tenant_id, name), "id") for name in names)
        return [
            EndUserSpending(name, None if end_user_id is None else end_user_id.decode(), int(float(score)))
            for name, end_user_id, (_, score) in zip(names, known, spent, strict=True)
        ]

    async def ledger(self) -> AsyncIterator[Entry]:
        after = "-"
        while page := await self._redis.execute("XRANGE", keys.LEDGER, after, "+", "COUNT", _PAGE):
            for _, fields in page:
                yield _entry(fields)
            after = "(" + page[-1][0].decode()

    async def windows(self) -> AsyncIterator[str]:
        """Keys of every window there is. Walks the keyspace: for the audit alone."""
        async for name in self._keys(keys.MONEY):
            yield name

    async def _keys(self, pattern: str) -> AsyncIterator[str]:
        cursor = b"0"
        while True:
            cursor, found = await self._redis.execute("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE)
            for name in found:
                yield name.decode()
            if cursor == b"0":
                return

    async def slots(self) -> set[str]:
        return {name.decode() for name in await self._redis.execute("SMEMBERS", keys.SLOTS)}

    async def tenant_slots(self) -> AsyncIterator[str]:
        """Generations in the slot set of any tenant. Walks the keyspace: for the audit alone."""
        async for key in self._keys(keys.slots_of_tenant("*")):
            for name in await self._redis.execute("SMEMBERS", key):
                yield name.decode()

    async def claimed(self) -> set[str]:
        return {name.decode() for name in await self._redis.execute("ZRANGE", keys.CLAIMED, 0, -1)}


def _entry(fields: Sequence[bytes]) -> Entry:
    named = dict(zip(fields[::2], fields[1::2], strict=True))
    generation_id, on = named[b"g"].decode(), named.get(b"day")
    return Entry(
        generation_id,
        named[b"t"].decode(),
        named[b"u"].decode(),
        int(named[b"h"]),
        int(named.get(b"s", 0)),
        ids.created_at(generation_id) if on is None else datetime.fromisoformat(on.decode()).replace(tzinfo=UTC),
    )


def _day(date: str, fields: Sequence[bytes]) -> Day:
    counts = {name.decode(): int(value) for name, value in zip(fields[::2], fields[1::2], strict=True)}
    outcomes = {name: count for name, count in sorted(counts.items()) if name not in _COUNTED}
    return Day(date, counts.get("created", 0), counts.get("spent", 0), outcomes)
