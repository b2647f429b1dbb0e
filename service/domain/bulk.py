"""Bulk jobs: one act on all generations or deliveries that match a filter, carried out by the workers."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from service.domain import ids
from service.domain.actor import Actor
from service.domain.generation import Generation
from service.domain.status import PublicStatus, Status
from service.domain.webhook import Delivery, DeliveryFilter, DeliveryStatus

_PREFIX: Final = "bulk"

#: Most ids that a filter can name.
MOST_IDS: Final = 500
#: Most items of one job. A job over more ends with ``Limit reached``, and another one continues.
MOST_ITEMS: Final = 100_000


class BulkKind(StrEnum):
    CANCEL = "cancel"
    """Cancel generations, as their tenants would."""
    REPLAY = "replay"
    """Send deliveries again, with all attempts of the schedule."""


#: Statuses of generations that can be canceled; ``in_flight``: all but ``queued``.
LiveStatus = Literal["queued", "in_flight", "submitting", "unconfirmed", "submitted", "in_progress"]
#: Statuses of deliveries that can be replayed. A pending delivery is sent anyway.
EndedStatus = Literal["dead", "delivered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkFilter:
    """Conditions that an item must all meet; None: no condition."""

    tenant_id: str | None = None
    ids: tuple[str, ...] = ()
    """Of these items only. Empty: no condition."""
    status: LiveStatus | EndedStatus | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    """Both exclusive, to the millisecond."""
    end_user: str | None = None
    """Of generations: the pseudonym."""
    model: str | None = None
    """Of generations."""
    endpoint_id: str | None = None
    """Of deliveries."""
    event: str | None = None
    """Of deliveries."""

    def matches_generation(self, g: Generation) -> bool:
        """Return whether a generation can be canceled and meets all conditions."""
        return (
            not g.is_terminal
            and g.cancel_requested_at is None
            and g.status is not Status.COPYING  # its video exists: nothing is left to cancel
            and self.tenant_id in (None, g.tenant_id)
            and self._has_status(g.public_status)
            and (self.end_user is None or (self.end_user == g.end_user and not g.erased))
            and self.model in (None, g.model)
            and self._has_identity(g.id, g.created_at)
        )

    def _has_status(self, status: PublicStatus) -> bool:
        if self.status == "in_flight":
            return status is not PublicStatus.QUEUED
        return self.status in (None, status)

    def matches_delivery(self, delivery: Delivery) -> bool:
        """Return whether a delivery is not pending and meets all conditions."""
        return (
            delivery.status is not DeliveryStatus.PENDING
            and self.tenant_id in (None, delivery.tenant_id)
            and self.deliveries.takes(delivery)
            and self._has_identity(delivery.id, delivery.created_at)
        )

    @property
    def deliveries(self) -> DeliveryFilter:
        return DeliveryFilter(
            status=None if self.status is None else DeliveryStatus(self.status),
            endpoint_id=self.endpoint_id,
            event=self.event,
            created_after=self.created_after,
            created_before=self.created_before,
        )

    def _has_identity(self, name: str, created_at: datetime) -> bool:
        created = ids.milliseconds(created_at)
        return (
            (not self.ids or name in self.ids)
            and (self.created_after is None or created > ids.milliseconds(self.created_after))
            and (self.created_before is None or created < ids.milliseconds(self.created_before))
        )

    def until(self, moment: datetime) -> "BulkFilter":
        """Return the filter without items that were created after this time."""
        end = moment + timedelta(milliseconds=1)
        return replace(self, created_before=end if self.created_before is None else min(end, self.created_before))

    def to_json(self) -> bytes:
        """Return the filter as JSON, without conditions that are not set."""
        return _JSON.dump_json(self, exclude_defaults=True)

    def to_dict(self) -> dict[str, Any]:
        """Return the conditions that are set, as JSON values."""
        found: dict[str, Any] = _JSON.dump_python(self, mode="json", exclude_defaults=True)
        return found

    @classmethod
    def from_json(cls, text: bytes) -> "BulkFilter":
        return _JSON.validate_json(text)


_JSON: Final = TypeAdapter(BulkFilter)


class BulkState(StrEnum):
    COLLECTING = "collecting"
    """Workers collect the ids of all items that match."""
    RUNNING = "running"
    """Workers process the items."""
    DONE = "done"
    STOPPED = "stopped"
    """An operator stopped the job, or its tenant was deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkJob:
    id: str
    kind: BulkKind
    filter: BulkFilter
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
    def effective_filter(self) -> BulkFilter:
        """The filter, without items that were created after the preview."""
        return self.filter.until(self.previewed_at)

    @property
    def has_ended(self) -> bool:
        return self.state in (BulkState.DONE, BulkState.STOPPED)


def job_name(job_id: str) -> str:
    """Return the name of a bulk job in the due set of the sweep."""
    return f"{_PREFIX}:{job_id}"


def of_job(name: str) -> str | None:
    """Return the id of a bulk job; None: the name is not one of a bulk job."""
    head, _, job_id = name.partition(":")
    return job_id if head == _PREFIX and ids.is_id(ids.BULK_JOB, job_id) else None
