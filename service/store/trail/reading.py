"""Reads of the audit trail: pages of entries, and entries in steps for the verification of the chain."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from service.domain.chain import GENESIS, Head, Link
from service.store import keys
from service.store.redis.client import Redis

_STEP: Final = 500
_FIRST: Final = "-"
_NO_NUMBER: Final = -1


class TrailReader:
    """Reads entries."""

    def __init__(self, reports: Redis) -> None:
        """``reports``: a connection of its own for large reads."""
        self._reports = reports

    async def head(self) -> Head:
        number, last, trimmed = await self._reports.execute("HMGET", keys.TRAIL_HEAD, "n", "h", "trimmed")
        return Head(int(number or 0), GENESIS if last is None else last.decode(), int(trimmed or 0))

    async def newest(self, *, after: str | None = None, before_ms: int | None = None, limit: int) -> list[Link]:
        """Return entries, the newest first.

        ``after``: position of the last entry of the page before; ``before_ms``: recorded before this time.
        """
        upper = "+" if before_ms is None else f"({before_ms}-0"
        upper = upper if after is None else f"({after}"
        return _links(await self._reports.execute("XREVRANGE", keys.TRAIL, upper, _FIRST, "COUNT", limit))

    async def newest_of_tenant(self, tenant_id: str, *, after: int | None = None, limit: int) -> list[Link]:
        """Return entries about a tenant, the newest first; ``after``: number of the last entry of the page before."""
        upper = "+inf" if after is None else f"({after}"
        index = keys.trail_of_tenant(tenant_id)
        names = await self._reports.execute("ZREVRANGEBYSCORE", index, upper, "-inf", "LIMIT", 0, limit)
        replies = await self._reports.gather(("XRANGE", keys.TRAIL, name, name, "COUNT", 1) for name in names)
        return [link for reply in replies for link in _links(reply)]

    async def oldest(self, *, after: str = "", limit: int = _STEP) -> list[Link]:
        """Return entries, the oldest first; ``after``: position of the last entry of the step before."""
        lower = f"({after}" if after else _FIRST
        return _links(await self._reports.execute("XRANGE", keys.TRAIL, lower, "+", "COUNT", limit))

    async def links(self) -> AsyncIterator[Sequence[Link]]:
        """Yield all entries in steps, the oldest first."""
        after = ""
        while found := await self.oldest(after=after):
            yield found
            after = found[-1].position


def _links(reply: list[Any]) -> list[Link]:
    return [_link(position.decode(), dict(zip(values[::2], values[1::2], strict=True))) for position, values in reply]


def _link(position: str, stored: dict[bytes, bytes]) -> Link:
    """Return an entry. What is missing or wrong in Redis breaks the chain, and must not end its verification."""
    number = stored.get(b"n", b"")
    return Link(
        position,
        int(number) if number.isdigit() else _NO_NUMBER,
        stored.get(b"d", b""),
        stored.get(b"b", b"").decode(errors="replace"),
        stored.get(b"h", b"").decode(errors="replace"),
    )
