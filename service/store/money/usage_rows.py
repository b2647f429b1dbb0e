"""Rows of reports over tenants and over end users: their lists, and the sums of some days of each row.

Each script reads a limited number of small hashes, however many rows a report has.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from service.domain.figures import Figures
from service.domain.usage import Day
from service.store import keys
from service.store.money.usage import day_of, read_hashes
from service.store.redis.client import Redis, Script

_SUM_USAGE: Final = Script("sum_usage")
_SUM_END_USERS: Final = Script("sum_end_users")
#: Hashes that one script reads: Redis serves no other client meanwhile.
_SLICE: Final = 250


class UsageRowStore:
    """Reads rows of reports."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def tenants(self, month: str, *, first: int, count: int) -> list[str]:
        """Return tenants with usage in a month, the highest spending first; ``first``: entries before it."""
        found = await self._redis.execute("ZREVRANGE", keys.tenants_of_month(month), first, first + count - 1)
        return [name.decode() for name in found]

    async def count(self, month: str) -> int:
        """Return the number of tenants with usage in a month."""
        return int(await self._redis.execute("ZCARD", keys.tenants_of_month(month)))

    async def in_months(self, tenant_ids: Sequence[str], months: Sequence[str]) -> set[str]:
        """Return those of the tenants that have usage in one of the months."""
        found: set[str] = set()
        for month in months if tenant_ids else ():
            scores = await self._redis.execute("ZMSCORE", keys.tenants_of_month(month), *tenant_ids)
            found.update(name for name, score in zip(tenant_ids, scores, strict=True) if score is not None)
        return found

    async def sums(self, tenant_ids: Sequence[str], dates: Sequence[str]) -> list[Day]:
        """Return the usage of each tenant over all these days together."""
        found: list[Day] = []
        width = max(1, _SLICE // max(1, len(dates)))
        for start in range(0, len(tenant_ids), width):
            names = tenant_ids[start : start + width]
            replies = await self._redis.read(
                _SUM_USAGE,
                {},
                {
                    "usage_prefix": keys.usage("*", "*").partition("*")[0],
                    "tenants": len(names),
                    "names": [*names, *dates],
                },
            )
            found += [day_of("", reply) for reply in replies]
        return found

    async def end_users(self, tenant_id: str, pseudonyms: Sequence[str], dates: Sequence[str]) -> list[Figures]:
        """Return the figures of each end user over all these days together, without refusals."""
        found: list[Figures] = []
        width = max(1, _SLICE // max(1, len(dates)))
        for start in range(0, len(pseudonyms), width):
            names = pseudonyms[start : start + width]
            replies = await self._redis.read(
                _SUM_END_USERS,
                {},
                {
                    "window_prefix": keys.money_of_end_user(tenant_id, "*", "").partition("*")[0],
                    "end_users": len(names),
                    "names": [*names, *dates],
                },
            )
            for reply in replies:
                created, succeeded, failed, canceled, spent, held = map(int, reply)
                found.append(Figures(created, succeeded, failed, canceled, 0, spent, held))
        return found

    async def refusals(self, tenant_id: str, dates: Sequence[str]) -> dict[str, Counter[str]]:
        """Return the refused creates of end users over these days, by pseudonym and error code."""
        found: defaultdict[str, Counter[str]] = defaultdict(Counter)
        hashes = await read_hashes(self._redis, [keys.refused_end_users(tenant_id, date) for date in dates])
        for fields in hashes:
            for name, count in zip(fields[::2], fields[1::2], strict=True):
                pseudonym, _, code = name.decode().partition(":")
                found[pseudonym][code] += int(count)
        return dict(found)
