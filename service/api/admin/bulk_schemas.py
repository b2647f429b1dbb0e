"""Bodies and views of bulk jobs."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from service.api.http.timestamps import in_range
from service.domain.bulk import MOST_IDS, BulkFilter, BulkJob, BulkKind, BulkState, EndedStatus, LiveStatus
from service.domain.described import Timestamp, describe, described
from service.domain.generation_view import rfc3339
from service.domain.pricing import usd
from service.domain.reason import Text
from service.domain.webhook import EventType
from service.usecases.operations.bulk.preview import Preview

_Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
_OF_GENERATIONS: Final = ("end_user_id", "end_user", "model")
_OF_DELIVERIES: Final = ("endpoint_id", "event")
_STATUSES: Final = {BulkKind.CANCEL: LiveStatus, BulkKind.REPLAY: EndedStatus}


class BulkFilterBody(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra=describe)

    tenant_id: Annotated[_Name | None, Field(strict=True)] = None
    """Only items of this tenant. Required without `ids`, unless dead deliveries are replayed: then default: of all."""
    ids: Annotated[list[_Name], Field(strict=True, max_length=MOST_IDS)] = Field(default_factory=list)
    """Only these items, 500 at most. Default: all that match."""
    status: LiveStatus | EndedStatus | None = None
    """`cancel`: only generations with this status; `in_flight` is every one but `queued`. `replay`: `dead` or
    `delivered`. Default: every one that can be canceled or replayed.
    """
    created_after: AwareDatetime | None = None
    """Only items created after this time (RFC 3339 with an offset). Default: no bound."""
    created_before: AwareDatetime | None = None
    """Only items created before this time (RFC 3339 with an offset). Default: no bound."""
    end_user_id: Annotated[_Name | None, Field(strict=True)] = None
    """`cancel`: only generations of this end user, as the tenant names it. Default: of all."""
    end_user: Annotated[_Name | None, Field(strict=True)] = None
    """`cancel`: the same by pseudonym. Default: of all."""
    model: Annotated[_Name | None, Field(strict=True)] = None
    """`cancel`: only generations of this model. Default: of all."""
    endpoint_id: Annotated[_Name | None, Field(strict=True)] = None
    """`replay`: only deliveries to this webhook endpoint. Default: to all."""
    event: EventType | None = None
    """`replay`: only deliveries of this event. Default: of all."""

    @property
    def conditions(self) -> BulkFilter:
        """The filter, without ``end_user_id``."""
        given = self.model_dump(exclude={"end_user_id", "ids", "event", "created_after", "created_before"})
        return BulkFilter(
            **given,
            ids=tuple(sorted(set(self.ids))),
            event=None if self.event is None else self.event.value,
            created_after=in_range(self.created_after, "/filter/created_after"),
            created_before=in_range(self.created_before, "/filter/created_before"),
        )


class BulkPreviewBody(BaseModel):
    """The act, and what it is done to."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=describe)

    kind: BulkKind
    """`cancel` cancels generations, `replay` sends deliveries again."""
    filter: BulkFilterBody
    """Conditions that an item must all meet."""

    @model_validator(mode="after")
    def _fits_kind(self) -> Self:
        foreign = _OF_DELIVERIES if self.kind is BulkKind.CANCEL else _OF_GENERATIONS
        wrong = next((name for name in foreign if getattr(self.filter, name) is not None), None)
        if wrong is not None:
            raise PydanticCustomError(
                "kind", "filter.{name} does not go with {kind}", {"name": wrong, "kind": self.kind}
            )
        allowed = _STATUSES[self.kind].__args__  # type: ignore[attr-defined]
        if self.filter.status not in (None, *allowed):
            known = ", ".join(allowed)
            raise PydanticCustomError("kind", "filter.status must be one of: {known}", {"known": known})
        if self.filter.end_user is not None and self.filter.end_user_id is not None:
            raise PydanticCustomError("one_of", "filter.end_user goes without filter.end_user_id")
        return self


class NewBulkJob(BulkPreviewBody):
    """A previewed act, and why it is done."""

    reason: Text
    """Why, 1 to 500 characters, for operators."""
    previewed_at: AwareDatetime
    """`previewed_at` of the preview. Items that were created later are not touched."""
    expected: Annotated[int, Field(strict=True, ge=0)]
    """`matched` of the preview. If more items match now, nothing starts."""


@described
class BulkShareView(TypedDict):
    id: str
    """Id of the tenant, or of the webhook endpoint."""
    items: int
    """Items of it that match."""


@described
class BulkPreviewView(TypedDict):
    object: Literal["bulk_preview"]
    """Always `bulk_preview`."""
    kind: BulkKind
    """The act."""
    previewed_at: Timestamp
    """When this was counted, RFC 3339 in UTC with milliseconds."""
    matched: int
    """Items that match."""
    more: bool
    """Whether further items may match: the preview has read as much as one call may."""
    oldest: Timestamp | None
    """When the oldest item was created. `null`: none matches."""
    newest: Timestamp | None
    """When the newest item was created. `null`: none matches."""
    currency: Literal["USD"]
    """Always `USD`."""
    released: str
    """Money on hold that the act releases at once, in US dollars, as a decimal string."""
    billable: str
    """Money on hold that fal may still bill, since it may work on these generations, in US dollars."""
    tenants: list[BulkShareView]
    """Tenants with the most items, 20 at most. A tenant receives a webhook for each canceled generation."""
    tenant_count: int
    """Tenants in all."""
    endpoints: list[BulkShareView]
    """Webhook endpoints with the most deliveries, 20 at most."""
    end_user_count: int
    """End users in all."""


@described
class BulkJobView(TypedDict):
    id: str
    """Id of the job."""
    object: Literal["bulk_job"]
    """Always `bulk_job`."""
    kind: BulkKind
    """The act."""
    filter: dict[str, Any]
    """The conditions that are set. End users are there under their pseudonyms."""
    state: BulkState
    """`collecting`: workers collect what matches. `running`: workers process the items. `done`. `stopped`: an operator
    stopped it, or its tenant was deleted.
    """
    stopping: bool
    """Whether an operator has asked for its end."""
    reason: str
    """Why it was started."""
    actor: str
    """Who started it."""
    previewed_at: Timestamp
    """Items that were created later are not touched."""
    matched: int
    """Items that the workers have found to match."""
    done: int
    """Items that were canceled, or are sent again."""
    skipped: int
    """Items that did not match any more when their turn came."""
    failed: int
    """Items whose act was refused, as the replay to a disabled endpoint."""
    note: str | None
    """Why it was stopped, or that the limit of one job was reached. `null`: neither."""
    started_at: Timestamp
    """When it was started, RFC 3339 in UTC with milliseconds."""
    finished_at: Timestamp | None
    """When it ended. `null`: not yet."""


@described
class BulkJobList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[BulkJobView]
    """Bulk jobs, the newest first."""
    has_more: bool
    """Whether there are more."""
    next_cursor: str | None
    """Cursor of the next page. `null`: this is the last one."""


BULK_PREVIEW: Final = TypeAdapter(BulkPreviewBody)
NEW_BULK_JOB: Final = TypeAdapter(NewBulkJob)


def preview_view(kind: BulkKind, preview: Preview) -> BulkPreviewView:
    return {
        "object": "bulk_preview",
        "kind": kind,
        "previewed_at": rfc3339(preview.previewed_at),
        "matched": preview.matched,
        "more": preview.more,
        "oldest": None if preview.oldest is None else rfc3339(preview.oldest),
        "newest": None if preview.newest is None else rfc3339(preview.newest),
        "currency": "USD",
        "released": usd(preview.held),
        "billable": usd(preview.billable),
        "tenants": [{"id": name, "items": count} for name, count in preview.most_affected_tenants],
        "tenant_count": len(preview.tenants),
        "endpoints": [{"id": name, "items": count} for name, count in preview.most_affected_endpoints],
        "end_user_count": len(preview.end_users),
    }


def job_view(job: BulkJob) -> BulkJobView:
    return {
        "id": job.id,
        "object": "bulk_job",
        "kind": job.kind,
        "filter": job.filter.to_dict(),
        "state": job.state,
        "stopping": job.stop_reason is not None and not job.has_ended,
        "reason": job.reason,
        "actor": job.actor.name,
        "previewed_at": rfc3339(job.previewed_at),
        "matched": job.matched,
        "done": job.done,
        "skipped": job.skipped,
        "failed": job.failed,
        "note": job.note,
        "started_at": rfc3339(job.started_at),
        "finished_at": None if job.finished_at is None else rfc3339(job.finished_at),
    }
