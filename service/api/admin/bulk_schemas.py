"""Views of bulk jobs."""

from typing import Any, Literal

from typing_extensions import TypedDict

from service.domain.bulk import BulkJob, BulkKind, BulkState
from service.domain.described import Timestamp, described
from service.domain.generation_view import rfc3339
from service.domain.pricing import usd
from service.usecases.operations.bulk.preview import Preview


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
    """Items that match: counted by the preview, or the count that an index keeps."""
    more: bool
    """Whether further items may match: `matched` is then the least number."""
    counted: int
    """Items that all fields below are of. Fewer than `matched` if more than 1,000 entries had to be read: the newest
    500 entries and the oldest 500.
    """
    oldest: Timestamp | None
    """When the oldest of them was created. `null`: none matches."""
    newest: Timestamp | None
    """When the newest of them was created. `null`: none matches."""
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
    stopped it, its tenant was deleted, or its starter may not act any more.
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
    """Items that were canceled, dismissed, or are sent again."""
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


def preview_view(kind: BulkKind, preview: Preview) -> BulkPreviewView:
    return {
        "object": "bulk_preview",
        "kind": kind,
        "previewed_at": rfc3339(preview.previewed_at),
        "matched": preview.matched,
        "more": preview.more,
        "counted": preview.counted,
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
        "filter": job.selection.to_dict(),
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
