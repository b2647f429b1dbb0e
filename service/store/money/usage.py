"""Usage of a tenant as it was booked: counters of each day, and lists of end users by day and by month.

No read grows with the history: a day is a small hash, and of a list one part is read by its position.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from service.domain.figures import Figures
from service.domain.usage import Day, EndUserSpending
from service.store import keys
from service.store.redis.client import Redis, Script

_NAMES: Final = Script("end_user_names")
_HASHES_OF: Final = Script("read_usage")
#: The most end users of one list that a report shows: those with the highest spending.
MOST_END_USERS: Final = 1000
#: Entries that a report reads from all of its lists together, if it has several.
_MOST_ENTRIES: Final = 5000
#: Names of end users that one script reads: Redis serves no other client meanwhile.
_SLICE: Final = 250
#: First parts of names of fields; see keys.py.
_MODEL, _COST, _REFUSED = "m", "cost", "refused"
#: Hashes that one script reads: Redis serves no other client meanwhile.
_HASHES: Final = 100
#: Outcomes; a failed one has its error code after a colon. Other fields are counters of limits.
_OUTCOMES: Final = frozenset(("succeeded", "failed", "canceled"))


class UsageStore:
    """Reads the usage."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def days(self, tenant_id: str, dates: Sequence[str]) -> list[Day]:
        """Return the usage of each date, empty days too."""
        found = await read_hashes(self._redis, [keys.usage(tenant_id, date) for date in dates])
        return [day_of(date, fields) for date, fields in zip(dates, found, strict=True)]

    async def highest(self, tenant_id: str, periods: Sequence[str]) -> tuple[list[EndUserSpending], bool]:
        """Return the end users with the highest spending over these periods, and whether the sums are exact.

        Exact: of one period, and of several ones with up to ``_MOST_ENTRIES`` entries together. Otherwise the highest
        entries of each period are added up: an end user below them is missing from the sum of that period.
        """
        if len(periods) == 1:
            return await self.page(tenant_id, periods[0], first=0, count=MOST_END_USERS), True
        most = max(1, _MOST_ENTRIES // len(periods))
        lists = [keys.usage_of_end_users(tenant_id, period) for period in periods]
        found = await self._redis.gather(("ZREVRANGE", key, 0, most - 1, "WITHSCORES") for key in lists)
        sums: Counter[str] = Counter()
        for rows in found:
            sums.update(dict(_entries(rows)))
        exact = all(len(rows) < 2 * most for rows in found)
        return await self._named(tenant_id, sums.most_common(MOST_END_USERS)), exact

    async def page(
        self, tenant_id: str, period: str, *, first: int, count: int, with_names: bool = True
    ) -> list[EndUserSpending]:
        """Return a part of the list of a day or a month, the highest spending first; ``first``: entries before it."""
        key = keys.usage_of_end_users(tenant_id, period)
        return await self.page_of(tenant_id, key, first=first, count=count, with_names=with_names)

    async def page_of(
        self, tenant_id: str, key: str, *, first: int, count: int, with_names: bool = True
    ) -> list[EndUserSpending]:
        """Return a part of the list with this key."""
        rows = _entries(await self._redis.execute("ZREVRANGE", key, first, first + count - 1, "WITHSCORES"))
        if not with_names:
            return [EndUserSpending(pseudonym, None, spent) for pseudonym, spent in rows]
        return await self._named(tenant_id, rows)

    async def _named(self, tenant_id: str, entries: Sequence[tuple[str, int]]) -> list[EndUserSpending]:
        names: list[bytes | None] = []
        for start in range(0, len(entries), _SLICE):
            names += await self._redis.read(
                _NAMES,
                {},
                {
                    "end_user_prefix": keys.end_user(tenant_id, ""),
                    "pseudonyms": [pseudonym for pseudonym, _ in entries[start : start + _SLICE]],
                },
            )
        return [
            EndUserSpending(pseudonym, None if name is None else name.decode(), spent)
            for (pseudonym, spent), name in zip(entries, names, strict=True)
        ]


def _entries(rows: Sequence[bytes]) -> list[tuple[str, int]]:
    return [(name.decode(), int(float(score))) for name, score in zip(rows[::2], rows[1::2], strict=True)]


async def read_hashes(redis: Redis, names: Sequence[str]) -> list[list[bytes]]:
    """Return the fields of each hash. Each has a limited number of fields, see keys.py."""
    found: list[list[bytes]] = []
    for start in range(0, len(names), _HASHES):
        found += await redis.read(_HASHES_OF, {"hashes": names[start : start + _HASHES]})
    return found


def day_of(date: str, fields: Sequence[bytes]) -> Day:
    """Return the usage that the fields of its hash have."""
    counts = {name.decode(): int(value) for name, value in zip(fields[::2], fields[1::2], strict=True)}
    models: defaultdict[str, dict[str, int]] = defaultdict(dict)
    parts: dict[str, dict[str, int]] = {_COST: {}, _REFUSED: {}}
    outcomes = {}
    for name, count in sorted(counts.items()):
        head, _, rest = name.partition(":")
        if head == _MODEL:
            model, _, figure = rest.rpartition(":")
            models[model][figure] = count
        elif head in parts:
            parts[head][rest.removeprefix("failed:")] = count
        elif head in _OUTCOMES:
            outcomes[name] = count
    return Day(
        date=date,
        created=counts.get("created", 0) or sum(figures.get("created", 0) for figures in models.values()),
        spent=counts.get("spent", 0),
        outcomes={name: count for name, count in outcomes.items() if count},
        refusals=parts[_REFUSED],
        models={model: Figures(**figures) for model, figures in models.items()},
        costs=parts[_COST],
        draft_direct=counts.get("draft_direct", 0),
        draft_spent=counts.get("draft_spent", 0),
    )
