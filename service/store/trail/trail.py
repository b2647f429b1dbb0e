"""Writes of the audit trail: the acts that have begun and not ended, and the chained entries of those that have."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, cast

from service.domain.budgets import day
from service.domain.chain import GENESIS, Link, chained
from service.domain.trail import ENTRY, Entry
from service.errors import StoreUnavailable
from service.store import keys
from service.store.redis.client import Redis, Script

_BEGIN: Final = Script("begin_act")
_APPEND: Final = Script("append_entry")
#: Each lost race is the success of another process.
_ATTEMPTS: Final = 50
_DAY_SECONDS: Final = 24 * 3600


Begun = Literal["begun", "daily", "stored"]


@dataclass(frozen=True, slots=True)
class TenantShare:
    """What one tenant may take of the trail, which all share.

    ``daily``: acts of the tenant in a day. ``stored``: entries about the tenant; above, only operators add to them.
    """

    daily: int
    stored: int


class TrailStore:
    """Begins acts and appends their entries."""

    def __init__(self, redis: Redis, *, retention: timedelta) -> None:
        self._redis = redis
        self._retention = retention
        self._last = (0, GENESIS)
        self._appending = asyncio.Lock()

    async def begin(self, act_id: str, entry: Entry, *, share: TenantShare | None) -> Begun:
        """Store an act that begins, unless its tenant has reached a limit of ``share``; None: an operator acts."""
        counted = share is not None and entry.tenant_id is not None
        tenant_id = str(entry.tenant_id)
        reply: bytes = await self._redis.run(
            _BEGIN,
            {
                "trail_pending": keys.TRAIL_PENDING,
                "acts": keys.acts_of_tenant(tenant_id, day(entry.at)) if counted else keys.TRAIL_PENDING,
                "tenant_trail": keys.trail_of_tenant(tenant_id) if counted else keys.TRAIL_PENDING,
            },
            {
                "act_id": act_id,
                "record": ENTRY.dump_json(entry, exclude_defaults=True),
                "daily_limit": "" if share is None else share.daily,
                "stored_limit": "" if share is None else share.stored,
                "counter_seconds": _DAY_SECONDS,
                "retention_ms": self._retention // timedelta(milliseconds=1),
            },
        )
        return cast("Begun", reply.decode())

    async def append(self, act_id: str, entry: Entry, *, once: bool = True) -> Link | None:
        """Append the entry of an act that has ended. None: the act has an entry already.

        ``once`` False: append it also to the entry of an act that was taken for abandoned.

        Raises:
            StoreUnavailable: also if other processes append all the time.

        """
        record = ENTRY.dump_json(entry, exclude_defaults=True)
        async with self._appending:  # entries of one process would only lose races against each other
            for _ in range(_ATTEMPTS):
                number, before = self._last[0] + 1, self._last[1]
                after = chained(before, number, record)
                link = Link("", number, record, before, after)
                outcome, *found = await self._append(act_id, entry.tenant_id, link, once=once)
                if outcome == b"recorded":
                    return None
                if outcome == b"appended":
                    self._last = (number, after)
                    return Link(found[0].decode(), number, record, before, after)
                self._last = (int(found[0]), found[1].decode())
        raise StoreUnavailable("Other processes append to the audit trail all the time.")

    async def _append(self, act_id: str, tenant_id: str | None, link: Link, *, once: bool) -> list[Any]:
        reply: list[Any] = await self._redis.run(
            _APPEND,
            {
                "trail": keys.TRAIL,
                "trail_head": keys.TRAIL_HEAD,
                "trail_pending": keys.TRAIL_PENDING,
                "tenant_trail": keys.TRAIL if tenant_id is None else keys.trail_of_tenant(tenant_id),
            },
            {
                "number": link.number,
                "before": link.before,
                "record": link.record,
                "hash": link.hash,
                "act_id": act_id,
                "about_tenant": "" if tenant_id is None else "1",
                "must_be_pending": "1" if once else "",
                "retention_ms": self._retention // timedelta(milliseconds=1),
            },
        )
        return reply

    async def pending(self) -> dict[str, Entry]:
        """Return the acts that have begun and not ended, by id."""
        found = await self._redis.execute("HGETALL", keys.TRAIL_PENDING)
        return {
            name.decode(): ENTRY.validate_json(record) for name, record in zip(found[::2], found[1::2], strict=True)
        }
