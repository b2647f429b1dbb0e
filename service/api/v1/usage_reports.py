"""``/v1/usage-reports``: the complete list of end users of a long period, computed by the workers."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from service.api.http.cursor_queries import Cursor
from service.api.http.cursors import decode_offset
from service.api.http.dependencies import Gateway, Reader, json_of
from service.api.schemas import problems
from service.api.v1.usage import end_user_page
from service.api.v1.usage_schemas import UsageEndUserList, UsageReportView
from service.domain.described import describe
from service.domain.generation_view import rfc3339
from service.domain.usage import UsageReport

router = APIRouter(prefix="/v1/usage-reports", tags=["usage"])


class NewUsageReport(BaseModel):
    """The period of a usage report."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=describe)

    start: date
    """First day (UTC)."""
    end: date
    """Last day (UTC), included. Before today, and within 400 days from `start`."""


@router.post(
    "",
    summary="Create a usage report",
    description="Workers add up what each end user has spent, for periods that one request cannot read. Poll the "
    "report until its `state` is `done`, then read its end users. A tenant has one report: it is stored for a day, or "
    "until the next one is created. While a report over the same days is running, this returns it; over other days: "
    "409.",
    status_code=202,
    responses={202: {"description": "Workers compute the report."}, **problems(409, 422)},
)
async def create_usage_report(
    gateway: Gateway, caller: Reader, body: Annotated[NewUsageReport, json_of(NewUsageReport)], response: Response
) -> UsageReportView:
    report = await gateway.tenants.usage_reports.create(caller.id, body.start, body.end)
    response.headers["location"] = f"{router.prefix}/{report.id}"
    return _view(report)


@router.get(
    "/{report_id}",
    summary="Read a usage report",
    description="The sums of the period as soon as `state` is `done`; until then the progress.",
)
async def read_usage_report(gateway: Gateway, caller: Reader, report_id: str) -> UsageReportView:
    return _view(await gateway.tenants.usage_reports.get(caller.id, report_id))


@router.get(
    "/{report_id}/end-users",
    summary="List the end users of a usage report",
    description="Exact, and complete over all pages: each day as it was when the workers read it. Empty while the "
    "report is running.",
)
async def list_usage_report_end_users(
    gateway: Gateway,
    caller: Reader,
    report_id: str,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Cursor = None,
) -> UsageEndUserList:
    first = decode_offset(cursor)
    reports = gateway.tenants.usage_reports
    return end_user_page(await reports.end_users(await reports.get(caller.id, report_id), limit=limit, first=first))


def _view(report: UsageReport) -> UsageReportView:
    return {
        "id": report.id,
        "object": "usage_report",
        "state": report.state,
        "start": report.start.isoformat(),
        "end": report.end.isoformat(),
        "days": report.days,
        "days_done": report.days_done,
        "end_users": report.end_users,
        "created_at": rfc3339(report.started_at),
        "finished_at": None if report.finished_at is None else rfc3339(report.finished_at),
    }
