"""What a kind of bulk job reads, and what it does to one item."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

from service.domain.bulk import BulkJob, Selection
from service.errors import FieldError
from service.store.paging import Page

Outcome = Literal["done", "skipped", "failed"]
"""``skipped``: the item does not match any more. ``failed``: the act was refused."""

TENANT_REQUIRED: Final = FieldError(
    "/filter/tenant_id",
    "is required without ids: only dead letters and unconfirmed submits are listed over all tenants",
    "missing",
)


@dataclass(frozen=True, slots=True)
class Item:
    """A matching item, as the preview counts it."""

    id: str
    tenant_id: str
    created_at: datetime
    held: int = 0
    """Money on hold that the act releases at once, in micro-USD."""
    billable: int = 0
    """Money on hold that fal may still bill, in micro-USD."""
    end_user: str | None = None
    endpoint_id: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """A count that an index keeps. ``is_exact``: otherwise more items may match."""

    number: int
    is_exact: bool


class Kind(Protocol):
    """One kind of bulk job. Each act checks the selection again."""

    @property
    def id_prefix(self) -> str:
        """Prefix of the ids of its items."""

    def needs_tenant(self, wanted: Selection) -> bool:
        """Return whether no index over all tenants has what is selected."""

    async def page(self, wanted: Selection, *, after: str | None, oldest_first: bool = False) -> Page[Item]:
        """Return the next matching items; a page may have none and not be the last one."""

    async def count(self, wanted: Selection) -> Count | None:
        """Return a kept count; None: only a read of the items can tell."""

    async def act(self, job: BulkJob, name: str) -> Outcome:
        """Process one item. A repetition after a crash changes nothing and returns the same outcome."""
