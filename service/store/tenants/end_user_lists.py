"""Lists of the end users of a tenant, by name: two indexes that creates, blocks and erasures keep."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from service.domain.budgets import Standing
from service.store import keys
from service.store.paging import ENTRIES_READ, Index, Page, read_page
from service.store.redis.client import Redis, Script
from service.store.tenants.end_users import EndUserRecord
from service.store.times import moment

_LOAD: Final = Script("load_end_users")
#: Values of a row in the reply of the script.
_ROW: Final = 10
#: Behind every name that begins with a prefix: the last characters of Unicode, which have no meaning.
_LAST: Final = "\U0010ffff" * 2


@dataclass(frozen=True, slots=True, kw_only=True)
class EndUserEntry:
    """An end user in a list. Money in micro-USD."""

    record: EndUserRecord
    today: Standing
    """In a brief list: not read, empty."""
    spent_this_month: int
    generations: int
    """Stored generations. In a brief list: not read, 0."""
    last_seen_at: datetime | None
    """When its last generation was created; None: before the index existed, or the end user was erased."""


@dataclass(frozen=True, slots=True)
class _Names:
    """Names with a prefix, behind a cursor."""

    prefix: str
    after: str | None
    oldest_first: bool = True
    """By name, from the first on."""

    @property
    def bounds(self) -> tuple[str, str]:
        lower = f"[{self.prefix}" if self.after is None else f"({max(self.after, self.prefix)}"
        if not self.prefix:
            return lower if self.after is not None else "-", "+"
        return lower, f"({self.prefix}{_LAST}"


class EndUserLists:
    """Reads pages of end users. No command depends on how many a tenant has."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def by_name(
        self,
        tenant_id: str,
        prefix: str,
        *,
        pseudonym_of: Callable[[str], str],
        matches: Callable[[EndUserEntry], bool],
        day: str,
        limit: int,
        after: str | None,
        brief: bool = False,
    ) -> Page[EndUserEntry]:
        """Return end users whose name begins with ``prefix``, by name. ``day``: today, ``2026-01-31``.

        ``brief``: one command for each end user in place of three, and no more end users are examined than ``limit``.
        """

        async def load(names: Sequence[str]) -> Sequence[EndUserEntry | None]:
            found = await self._load(tenant_id, [pseudonym_of(name) for name in names], day, brief=brief)
            # The record of an end user may have expired or been erased since the index was read.
            return [entry if entry.record.end_user_id is not None else None for entry in found]

        return await read_page(
            self._redis,
            Index(keys.end_user_names(tenant_id)),
            _Names(prefix, after),
            limit=limit,
            load=load,
            matches=matches,
            most_read=limit if brief else ENTRIES_READ,
        )

    async def blocked(
        self,
        tenant_id: str,
        *,
        matches: Callable[[EndUserEntry], bool],
        day: str,
        limit: int,
        after: str | None,
        brief: bool = False,
    ) -> Page[EndUserEntry]:
        """Return blocked end users, by pseudonym, those without a name too. ``brief``: as in ``by_name``."""

        async def load(pseudonyms: Sequence[str]) -> Sequence[EndUserEntry]:
            return await self._load(tenant_id, pseudonyms, day, brief=brief)

        return await read_page(
            self._redis,
            Index(keys.blocked_end_users(tenant_id)),
            _Names("", after),
            limit=limit,
            load=load,
            matches=matches,
            most_read=limit if brief else ENTRIES_READ,
        )

    async def load(self, tenant_id: str, pseudonym: str, day: str) -> EndUserEntry:
        """Return one end user as in a list."""
        (entry,) = await self._load(tenant_id, [pseudonym], day, brief=False)
        return entry

    async def _load(self, tenant_id: str, pseudonyms: Sequence[str], day: str, *, brief: bool) -> list[EndUserEntry]:
        record, money = keys.end_user(tenant_id, ""), keys.money_of_end_user(tenant_id, "*", day).partition("*")
        values = await self._redis.read(
            _LOAD,
            {
                "end_users": keys.end_users(tenant_id),
                "spending_of_month": keys.usage_of_end_users(tenant_id, day[: len("2026-01")]),
            },
            {
                "end_user_prefix": record,
                "generations_suffix": keys.generations_of_end_user(tenant_id, "").removeprefix(record),
                "money_prefix": money[0],
                "money_suffix": money[2],
                "brief": "1" if brief else "",
                "pseudonyms": pseudonyms,
            },
        )
        rows = [values[start : start + _ROW] for start in range(0, len(values), _ROW)]
        return [_entry(pseudonym, row) for pseudonym, row in zip(pseudonyms, rows, strict=True)]


def _entry(pseudonym: str, row: Sequence[Any]) -> EndUserEntry:
    name, refusals, blocked, reason, held, spent, count, month, generations, seen = row
    return EndUserEntry(
        record=EndUserRecord(
            pseudonym,
            name.decode() if name else None,
            int(refusals or 0),
            blocked_at=blocked.decode() if blocked else None,
            block_reason=reason.decode() if reason else None,
        ),
        today=Standing(int(held or 0), int(spent or 0), int(count or 0)),
        spent_this_month=int(float(month or 0)),
        generations=int(generations),
        last_seen_at=moment(seen),
    )
