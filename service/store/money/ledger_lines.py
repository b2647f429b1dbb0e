"""Lines of the ledger that belong to one generation.

The ledger is in the order of time and has no index, so lines are found near the times at which they were written.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from service.domain import ids
from service.store import keys
from service.store.redis.client import Redis

#: A line is written shortly after the time in the record that goes with it.
_BEFORE: Final = timedelta(milliseconds=100)
_AFTER: Final = timedelta(seconds=5)
#: Lines that are read near one time. With more lines than these in that time, a line may not be found.
_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the ledger: the change of held and of spent money, in micro-USD."""

    at: datetime
    kind: str
    """``hold``, ``settle``, ``adjust``, ``resolve`` or ``revive``."""
    held: int
    spent: int
    reason: str | None = None


class LedgerLines:
    """Reads lines of single generations."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def near(self, generation_id: str, moments: Iterable[datetime]) -> list[Line]:
        """Return the lines of a generation that were written near these times, the oldest first."""
        pages = await asyncio.gather(*(self._near(moment) for moment in set(moments)))
        found = {entry: fields for page in pages for entry, fields in page}
        of_generation = generation_id.encode()
        named = ((entry, dict(zip(fields[::2], fields[1::2], strict=True))) for entry, fields in sorted(found.items()))
        return [_line(entry, line) for entry, line in named if line[b"g"] == of_generation]

    async def _near(self, moment: datetime) -> list[tuple[bytes, list[bytes]]]:
        first, last = ids.milliseconds(moment - _BEFORE), ids.milliseconds(moment + _AFTER)
        found = await self._redis.execute("XRANGE", keys.LEDGER, first, last, "COUNT", _MOST)
        return [(entry, fields) for entry, fields in found]


def _line(entry: bytes, line: dict[bytes, bytes]) -> Line:
    reason = line.get(b"why")
    return Line(
        at=ids.from_milliseconds(int(entry.partition(b"-")[0])),
        kind=line[b"k"].decode(),
        held=int(line[b"h"]),
        spent=int(line.get(b"s", 0)),
        reason=None if reason is None else reason.decode(),
    )
