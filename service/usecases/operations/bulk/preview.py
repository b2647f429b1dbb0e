"""What a bulk job would act on, before it starts: a kept count, and the items at both ends of the index."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from service.clock import Clock
from service.domain.bulk import Selection
from service.usecases.operations.bulk.kinds import Item, Kind

#: Tenants and endpoints that a preview names, those with the most items.
_MOST_NAMED: Final = 20


@dataclass(slots=True, kw_only=True)
class Preview:
    previewed_at: datetime
    matched: int = 0
    more: bool = False
    """Whether further items may match."""
    counted: int = 0
    """Items that all below are of: fewer than ``matched`` if the preview has read as much as one call may."""
    oldest: datetime | None = None
    newest: datetime | None = None
    held: int = 0
    """Money on hold that the act releases at once, in micro-USD."""
    billable: int = 0
    """Money on hold that fal may still bill, in micro-USD."""
    tenants: Counter[str] = field(default_factory=Counter)
    endpoints: Counter[str] = field(default_factory=Counter)
    end_users: set[tuple[str, str]] = field(default_factory=set)

    @property
    def most_affected_tenants(self) -> list[tuple[str, int]]:
        return self.tenants.most_common(_MOST_NAMED)

    @property
    def most_affected_endpoints(self) -> list[tuple[str, int]]:
        return self.endpoints.most_common(_MOST_NAMED)

    def add(self, items: Iterable[Item]) -> None:
        """Count items."""
        for item in items:
            self._add(item)
        self.matched = self.counted

    def _add(self, item: Item) -> None:
        self.counted += 1
        self.oldest = item.created_at if self.oldest is None else min(self.oldest, item.created_at)
        self.newest = item.created_at if self.newest is None else max(self.newest, item.created_at)
        self.held += item.held
        self.billable += item.billable
        self.tenants[item.tenant_id] += 1
        if item.endpoint_id is not None:
            self.endpoints[item.endpoint_id] += 1
        if item.end_user is not None:
            self.end_users.add((item.tenant_id, item.end_user))


class Previews:
    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock

    async def preview(self, kind: Kind, wanted: Selection) -> Preview:
        """Count what matches now. Reads two pages of an index, the newest and the oldest, however many match."""
        found = await self._read(kind, wanted, self._clock())
        if found.more and (count := await kind.count(wanted)) is not None:
            found.more = not count.is_exact
            found.matched = max(count.number, found.counted)
        return found

    async def again(self, kind: Kind, wanted: Selection, *, previewed_at: datetime) -> Preview:
        """Count what a preview of this time counts now: nothing that was created later.

        A count that is not exact is not used: it may have items that were created later.
        """
        found = await self._read(kind, wanted, previewed_at)
        if found.more and (count := await kind.count(wanted.until(previewed_at))) is not None and count.is_exact:
            found.more, found.matched = False, max(count.number, found.counted)
        return found

    async def _read(self, kind: Kind, wanted: Selection, previewed_at: datetime) -> Preview:
        preview, effective = Preview(previewed_at=previewed_at), wanted.until(previewed_at)
        newest = await kind.page(effective, after=None)
        items = {item.id: item for item in newest.items}
        if newest.after is not None:
            oldest = await kind.page(effective, after=None, oldest_first=True)
            items.update((item.id, item) for item in oldest.items)
            # Together they have all, if the page of the oldest ends where that of the newest began, or later.
            preview.more = oldest.after is not None and oldest.after < newest.after
        preview.add(items.values())
        return preview
