"""The audit trail: a stream of chained entries, and the acts that have begun and not ended."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import TypeAdapter

from service.domain import ids
from service.domain.budgets import day
from service.domain.trail import GENESIS, Entry, chained
from service.errors import StoreUnavailable
from service.store import keys
from service.store.redis.client import Redis, Script

_BEGIN: Final = Script("begin_act")
_APPEND: Final = Script("append_entry")
_ENTRY: Final = TypeAdapter(Entry)
#: Each lost race is the success of another process.
_ATTEMPTS: Final = 50
_STEP: Final = 500


@dataclass(frozen=True, slots=True)
class Link:
    """One entry as it is stored. ``position`` orders entries and is the cursor of pages."""

    position: str
    number: int
    record: bytes
    before: str
    hash: str

    def load(self) -> Entry:
        return _ENTRY.validate_json(self.record)


class TrailStore:
    """Appends and reads entries."""

    def __init__(self, redis: Redis, *, reports: Redis, retention: timedelta) -> None:
        self._redis = redis
        self._reports = reports
        self._retention = retention
        self._head = (0, GENESIS)
        self._appending = asyncio.Lock()

    async def begin(self, act_id: str, entry: Entry, *, daily_limit: int | None) -> bool:
        """Store an act that begins; False: its tenant has reached ``daily_limit``."""
        usage = keys.TRAIL_PENDING if entry.tenant_id is None else keys.usage(entry.tenant_id, day(entry.at))
        return bool(
            await self._redis.run(
                _BEGIN,
                {"trail_pending": keys.TRAIL_PENDING, "usage": usage},
                {
                    "act_id": act_id,
                    "record": _dump(entry),
                    "daily_limit": "" if daily_limit is None else daily_limit,
                    "retention_seconds": keys.MONEY_RETENTION_SECONDS,
                },
            )
        )

    async def append(self, act_id: str, entry: Entry, now: datetime) -> Link:
        """Append the entry of an act that has ended.

        Raises:
            StoreUnavailable: also if other processes append all the time.

        """
        record = _dump(entry)
        async with self._appending:  # entries of one process would only lose races against each other
            for _ in range(_ATTEMPTS):
                number, before = self._head[0] + 1, self._head[1]
                after = chained(before, number, record)
                won, *head = await self._append(act_id, entry.tenant_id, (number, before, record, after), now)
                if won:
                    self._head = (number, after)
                    return Link("", number, record, before, after)
                self._head = (int(head[0]), head[1].decode())
        raise StoreUnavailable("Other processes append to the audit trail all the time.")

    async def _append(
        self, act_id: str, tenant_id: str | None, link: tuple[int, str, bytes, str], now: datetime
    ) -> list[Any]:
        number, before, record, after = link
        reply: list[Any] = await self._redis.run(
            _APPEND,
            {
                "trail": keys.TRAIL,
                "trail_head": keys.TRAIL_HEAD,
                "trail_pending": keys.TRAIL_PENDING,
                "tenant_trail": keys.TRAIL if tenant_id is None else keys.trail_of_tenant(tenant_id),
            },
            {
                "number": number,
                "before": before,
                "record": record,
                "hash": after,
                "act_id": act_id,
                "about_tenant": "" if tenant_id is None else "1",
                "now_ms": ids.milliseconds(now),
                "oldest_ms": ids.milliseconds(now - self._retention),
                "retention_ms": self._retention // timedelta(milliseconds=1),
            },
        )
        return reply

    async def pending(self) -> dict[str, Entry]:
        """Return the acts that have begun and not ended, by id."""
        found = await self._redis.execute("HGETALL", keys.TRAIL_PENDING)
        return {
            name.decode(): _ENTRY.validate_json(record) for name, record in zip(found[::2], found[1::2], strict=True)
        }

    async def head(self) -> tuple[int, str]:
        """Return number and hash of the last entry."""
        number, last = await self._reports.execute("HMGET", keys.TRAIL_HEAD, "n", "h")
        return int(number or 0), GENESIS if last is None else last.decode()

    async def newest(self, *, after: str | None, limit: int) -> list[Link]:
        """Return entries, the newest first; ``after``: position of the last entry of the page before."""
        upper = "+" if after is None else f"({after}"
        return _links(await self._reports.execute("XREVRANGE", keys.TRAIL, upper, "-", "COUNT", limit))

    async def newest_of_tenant(self, tenant_id: str, *, after: str | None, limit: int) -> list[Link]:
        """Return entries about a tenant, the newest first."""
        upper = "+inf" if after is None else after.partition("-")[0]
        index = keys.trail_of_tenant(tenant_id)
        # Entries of the cursor's millisecond are read again and dropped: a score does not have the whole position.
        found = await self._reports.execute("ZREVRANGEBYSCORE", index, upper, "-inf", "LIMIT", 0, limit + _STEP)
        names = [name.decode() for name in found]
        names = sorted((n for n in names if after is None or _order(n) < _order(after)), key=_order, reverse=True)
        replies = await self._reports.gather(("XRANGE", keys.TRAIL, n, n, "COUNT", 1) for n in names[:limit])
        return [link for reply in replies for link in _links(reply)]

    async def links(self) -> AsyncIterator[Sequence[Link]]:
        """Yield all entries in steps, the oldest first."""
        lower = "-"
        while found := _links(await self._reports.execute("XRANGE", keys.TRAIL, lower, "+", "COUNT", _STEP)):
            yield found
            lower = f"({found[-1].position}"


def _dump(entry: Entry) -> bytes:
    return _ENTRY.dump_json(entry, exclude_defaults=True)


def _links(reply: list[Any]) -> list[Link]:
    found: list[Link] = []
    for position, values in reply:
        stored = dict(zip(values[::2], values[1::2], strict=True))
        found.append(
            Link(
                position.decode(),
                int(stored[b"n"]),
                stored[b"d"],
                stored[b"b"].decode(),
                stored[b"h"].decode(),
            )
        )
    return found


def _order(position: str) -> tuple[int, int]:
    time, _, number = position.partition("-")
    return int(time), int(number)
