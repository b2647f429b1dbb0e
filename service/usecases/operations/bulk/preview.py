"""What a bulk job would act on, before it starts."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from service.clock import Clock
from service.domain.bulk import BulkFilter
from service.usecases.operations.bulk.kinds import Item, Kind

#: Pages of an index that one preview reads at most.
_MOST_PAGES: Final = 20
#: Tenants and endpoints that a preview names, those with the most items.
_MOST_NAMED: Final = 20


@dataclass(slots=True, kw_only=True)
class Preview:
    previewed_at: datetime
    matched: int = 0
    more: bool = False
    """Whether further items may match: this preview has read as much as one call may."""
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

    def add(self, item: Item) -> None:
        """Count an item."""
        self.matched += 1
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

    async def preview(self, kind: Kind, wanted: BulkFilter, *, previewed_at: datetime | None = None) -> Preview:
        """Count what matches now and was created until ``previewed_at``; None: until now."""
        preview = Preview(previewed_at=previewed_at or self._clock())
        effective, after = wanted.until(preview.previewed_at), None
        for _ in range(_MOST_PAGES):
            page = await kind.page(effective, after=after)
            for item in page.items:
                preview.add(item)
            after = page.after
            if after is None:
                return preview
        preview.more = True
        return preview
