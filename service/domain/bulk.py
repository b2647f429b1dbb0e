"""Bulk jobs: one act on all generations or deliveries that match a filter, carried out by the workers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from service.domain import ids
from service.domain.actor import Actor
from service.domain.generation import Generation
from service.domain.generation_filter import Filter
from service.domain.webhook import Delivery, DeliveryFilter

_PREFIX: Final = "bulk"

#: Most ids that a filter can name.
MOST_IDS: Final = 500
#: Most items of one job. A job over more ends with ``Limit reached``, and another one continues.
MOST_ITEMS: Final = 100_000


class BulkKind(StrEnum):
    CANCEL = "cancel"
    """Cancel generations, as their tenants would."""
    DISMISS = "dismiss"
    """Declare that fal accepted none of these unconfirmed submits: each generation fails at no cost."""
    REPLAY = "replay"
    """Send deliveries again, with all attempts of the schedule."""


#: Statuses of generations that can be canceled; ``in_flight``: all but ``queued``.
LiveStatus = Literal["queued", "in_flight", "submitting", "unconfirmed", "submitted", "in_progress"]
#: Statuses of deliveries that can be replayed. A pending delivery is sent anyway.
EndedStatus = Literal["dead", "delivered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Items of a bulk job: those that meet the conditions of a list, and are among ``ids`` if it is not empty."""

    filter: Filter | DeliveryFilter
    ids: tuple[str, ...] = ()

    @property
    def tenant_id(self) -> str | None:
        return self.filter.tenant_id

    @property
    def generations(self) -> Filter:
        """The conditions on generations."""
        if not isinstance(self.filter, Filter):
            raise TypeError("The conditions are on deliveries.")
        return self.filter

    @property
    def deliveries(self) -> DeliveryFilter:
        """The conditions on deliveries."""
        if not isinstance(self.filter, DeliveryFilter):
            raise TypeError("The conditions are on generations.")
        return self.filter

    def has(self, item: Generation | Delivery) -> bool:
        """Return whether an item of the filter's kind is selected."""
        if self.ids and item.id not in self.ids:
            return False
        if isinstance(item, Generation):
            return self.generations.matches(item)
        return self.deliveries.matches(item)

    def until(self, moment: datetime) -> "Selection":
        """Return the selection without items that were created after this time."""
        before, end = self.filter.created_before, moment + timedelta(milliseconds=1)
        return replace(self, filter=replace(self.filter, created_before=end if before is None else min(end, before)))

    def to_json(self) -> bytes:
        """Return the selection as JSON, without conditions that are not set."""
        return json.dumps(self.to_dict(), ensure_ascii=False).encode()

    def to_dict(self) -> dict[str, Any]:
        """Return the conditions that are set, as JSON values."""
        kind: TypeAdapter[Any] = _OF_GENERATIONS if isinstance(self.filter, Filter) else _OF_DELIVERIES
        found: dict[str, Any] = kind.dump_python(self.filter, mode="json", exclude_defaults=True)
        return found | ({"ids": list(self.ids)} if self.ids else {})

    @classmethod
    def from_json(cls, kind: BulkKind, text: bytes) -> "Selection":
        """Return the selection of ``to_json``, of a job of this kind."""
        found = json.loads(text)
        names = tuple(found.pop("ids", ()))
        return cls(filter=_FILTERS[kind].validate_python(found), ids=names)


_OF_GENERATIONS: Final = TypeAdapter(Filter)
_OF_DELIVERIES: Final = TypeAdapter(DeliveryFilter)
_FILTERS: Final[Mapping[BulkKind, TypeAdapter[Any]]] = {
    BulkKind.CANCEL: _OF_GENERATIONS,
    BulkKind.DISMISS: _OF_GENERATIONS,
    BulkKind.REPLAY: _OF_DELIVERIES,
}


class BulkState(StrEnum):
    COLLECTING = "collecting"
    """Workers collect the ids of all items that match."""
    RUNNING = "running"
    """Workers process the items."""
    DONE = "done"
    STOPPED = "stopped"
    """An operator stopped the job, its tenant was deleted, or its starter may not act any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkJob:
    id: str
    kind: BulkKind
    selection: Selection
    previewed_at: datetime
    """Items that were created later do not match."""
    reason: str
    actor: Actor
    state: BulkState
    cursor: str | None
    """While the job collects: the last id that was read."""
    matched: int
    processed: int
    """Items before the next step; the sum of the three counts below."""
    done: int
    skipped: int
    """Items that did not match any more when their turn came."""
    failed: int
    """Items whose act was refused, as the replay to a disabled endpoint."""
    started_at: datetime
    finished_at: datetime | None = None
    note: str | None = None
    """Why the job was stopped."""
    stop_reason: str | None = None
    """Set while the job is being stopped."""

    @property
    def effective_selection(self) -> Selection:
        """The selection, without items that were created after the preview."""
        return self.selection.until(self.previewed_at)

    @property
    def has_ended(self) -> bool:
        return self.state in (BulkState.DONE, BulkState.STOPPED)


def job_name(job_id: str) -> str:
    """Return the name of a bulk job in the due set of the sweep."""
    return f"{_PREFIX}:{job_id}"


def of_job(name: str) -> str | None:
    """Return the id of a bulk job; None: the name is not one of a bulk job."""
    job_id = name.removeprefix(f"{_PREFIX}:")
    return job_id if ids.is_id(ids.BULK_JOB, job_id) and name == job_name(job_id) else None
