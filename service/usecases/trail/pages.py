"""Pages of the audit trail with filters. A page examines 500 entries at most, so that it may be short or empty."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from service.domain import ids
from service.domain.chain import Link
from service.domain.trail import Entry, Outcome
from service.observability import log
from service.store.trail.reading import TrailReader

#: Entries that one page reads.
MOST_EXAMINED: Final = 500
_STEP: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailFilter:
    """Conditions that an entry must all meet; None: any. The times are those at which entries were recorded."""

    actor: str | None = None
    """Id or name of the actor."""
    action: str | None = None
    target: str | None = None
    outcome: Outcome | None = None
    after: datetime | None = None
    before: datetime | None = None

    def matches(self, entry: Entry) -> bool:
        return (
            (self.actor is None or self.actor in (entry.actor.id, entry.actor.name))
            and (self.action is None or self.action == entry.action)
            and (self.target is None or self.target == entry.target)
            and (self.outcome is None or self.outcome is entry.outcome)
        )


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry with its place in the chain."""

    link: Link
    entry: Entry

    @property
    def at(self) -> datetime:
        """When the entry was recorded, by the clock of Redis."""
        return ids.from_milliseconds(self.link.recorded_ms)


@dataclass(frozen=True, slots=True)
class TrailPage:
    """``after`` is the cursor of the next page; None: there are no further entries."""

    entries: list[Recorded]
    after: str | None


class TrailPages:
    def __init__(self, reader: TrailReader) -> None:
        self._reader = reader
        self._log = log.get(__name__)

    async def page(
        self,
        wanted: TrailFilter,
        *,
        tenant_id: str | None = None,
        limit: int,
        after: str | None = None,
        most_read: int = MOST_EXAMINED,
    ) -> TrailPage:
        """Return entries, the newest first; ``tenant_id``: only those about this tenant.

        ``most_read``: entries that are examined at most, 500 or fewer.
        """
        oldest = None if wanted.after is None else ids.milliseconds(wanted.after)
        newest = None if wanted.before is None else ids.milliseconds(wanted.before)
        found: list[Recorded] = []
        step = min(_STEP, most_read)
        for _ in range(most_read // step):
            links = await self._read(tenant_id, after, newest, step)
            for link in links:
                after = _cursor(link, tenant_id)
                if oldest is not None and link.recorded_ms < oldest:
                    return TrailPage(found, None)
                entry = self._load(link)
                if entry is None or (newest is not None and link.recorded_ms >= newest) or not wanted.matches(entry):
                    continue
                found.append(Recorded(link, entry))
                if len(found) == limit:
                    return TrailPage(found, after)
            if len(links) < step:
                return TrailPage(found, None)
        return TrailPage(found, after)

    async def _read(self, tenant_id: str | None, after: str | None, newest: int | None, limit: int) -> list[Link]:
        if tenant_id is None:
            return await self._reader.newest(after=after, before_ms=newest, limit=limit)
        return await self._reader.newest_of_tenant(tenant_id, after=None if after is None else int(after), limit=limit)

    def _load(self, link: Link) -> Entry | None:
        """Return the entry; None: it was changed in Redis so that it cannot be read. The verification reports it."""
        try:
            return link.load()
        except ValidationError:
            self._log.warning("trail_entry_unreadable", number=link.number)
            return None


def _cursor(link: Link, tenant_id: str | None) -> str:
    return link.position if tenant_id is None else str(link.number)
