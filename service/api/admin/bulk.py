"""``/admin/v1/bulk``: cancel, dismiss or replay all that match a filter, as a job of the workers."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.api.admin.bulk_schemas import BulkJobList, BulkJobView, BulkPreviewView, job_view, preview_view
from service.api.http.audited import AuditedRoute
from service.api.http.cursor_queries import Cursor
from service.api.http.cursors import decode_cursor, page_of
from service.api.http.dependencies import ON_CALL, VIEWER, Gateway, OnCall, json_of
from service.api.schemas import problems
from service.domain import ids
from service.domain.bulk_request import BulkPreviewBody, NewBulkJob
from service.domain.reason import ActReason

router = APIRouter(prefix="/admin/v1/bulk", tags=["admin"], route_class=AuditedRoute)


@router.post(
    "/preview",
    summary="Preview a bulk job",
    dependencies=[ON_CALL],
    description="Counts what a job over this filter would act on: how many, the oldest, the newest, the money, and "
    "who receives webhooks. Changes nothing. Reads the newest 500 and the oldest 500 entries of an index at most; if "
    "there are more, `matched` is the count that the index keeps, or the least number.",
    responses=problems(404),
)
async def preview_bulk_job(
    gateway: Gateway, body: Annotated[BulkPreviewBody, json_of(BulkPreviewBody)]
) -> BulkPreviewView:
    return preview_view(body.kind, await gateway.operations.bulk_jobs.preview(body))


@router.post(
    "",
    summary="Start a bulk job",
    description="Workers act on all items of a preview, one by one, as the call for one item would. Refused with 409 "
    "if more items match than `expected`, or if 10 jobs of this operator (20 of all) have not ended. While a job over "
    "the same filter has not ended, this returns it. A job ends before its next step of 50 items when its starter is "
    "disabled, has not the role any more, or its token is not valid any more.",
    status_code=202,
    responses={202: {"description": "Workers carry the job out."}, **problems(404, 409)},
)
async def start_bulk_job(
    gateway: Gateway, actor: OnCall, body: Annotated[NewBulkJob, json_of(NewBulkJob)], response: Response
) -> BulkJobView:
    job = await gateway.operations.bulk_jobs.start(body, actor)
    response.headers["location"] = f"{router.prefix}/{job.id}"
    return job_view(job)


@router.get(
    "",
    summary="List bulk jobs",
    dependencies=[VIEWER],
    description="The newest first. Ended jobs are stored for 30 days.",
)
async def list_bulk_jobs(
    gateway: Gateway,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Cursor = None,
) -> BulkJobList:
    after = decode_cursor(cursor, ids.BULK_JOB)
    page = await gateway.operations.bulk_jobs.page(limit=limit, after=after)
    return page_of([job_view(job) for job in page.items], page.after)


@router.get(
    "/{bulk_job_id}",
    summary="Read a bulk job",
    dependencies=[VIEWER],
    description="Its progress, or its result.",
)
async def read_bulk_job(gateway: Gateway, bulk_job_id: str) -> BulkJobView:
    return job_view(await gateway.operations.bulk_jobs.get(bulk_job_id))


@router.post(
    "/{bulk_job_id}/stop",
    summary="Stop a bulk job",
    dependencies=[ON_CALL],
    description="The job ends before its next step of 50 items. What it has done stays. An ended job does not change.",
)
async def stop_bulk_job(
    gateway: Gateway, body: Annotated[ActReason, json_of(ActReason)], bulk_job_id: str
) -> BulkJobView:
    return job_view(await gateway.operations.bulk_jobs.stop(bulk_job_id, reason=body.reason))
