"""``/v1/usage``: money and counts by day and by end user, as JSON or CSV, and pages of end users."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request, Response

from service.api.http.accept import NEGOTIATED, preferred
from service.api.http.cursors import decode_offset, encode_offset
from service.api.http.dependencies import Gateway, Reader
from service.api.http.responses import json_response
from service.api.schemas import UsageDraftsView, UsageEndUser, UsageEndUserList, UsageView
from service.domain.pricing import usd
from service.domain.usage import EndUserSpending
from service.usecases.tenants.usage import Part, Report

router = APIRouter(prefix="/v1/usage", tags=["usage"])

_EXAMPLE: Final = "date,created,succeeded,failed,canceled,spent_usd\r\n2026-01-31,3,2,0,0,3.024000\r\n"
_OUTCOMES: Final = ("succeeded", "failed", "canceled")


@router.get(
    "",
    summary="Read usage by day and end user",
    description="Counts and sums by day are exact. `end_users` has the 1,000 with the highest spending: exact for a "
    "day, for a month, and for other periods with few end users; `end_users_incomplete` marks the rest. All end users "
    "of a day or a month are in `GET /v1/usage/end-users`, those of any longer period in a usage report.",
    responses={
        200: {"model": UsageView, "content": {"text/csv": {"schema": {"type": "string"}, "example": _EXAMPLE}}},
    },
)
async def read_usage(
    request: Request,
    gateway: Gateway,
    caller: Reader,
    start: Annotated[date | None, Query(description="First day (UTC). Default: the first of this month.")] = None,
    end: Annotated[
        date | None, Query(description="Last day (UTC), included, 92 days after `start` at most. Default: today.")
    ] = None,
    by: Annotated[
        Literal["day", "end_user"],
        Query(description="Rows of the CSV: `day` (default) or `end_user`. The JSON has both."),
    ] = "day",
) -> Response:
    report = await gateway.tenants.usage.report(caller.id, start, end)
    if preferred(request, "application/json", "text/csv") == "text/csv":
        return _csv(report, by_end_user=by == "end_user")
    return json_response(_view(report), headers=NEGOTIATED)


@router.get(
    "/end-users",
    summary="List end users by spending in a day or a month",
    description="Exact, and complete over all pages. Entries move while money is booked: between two pages of today or "
    "of this month an end user can appear twice or not at all.",
)
async def list_usage_end_users(
    gateway: Gateway,
    caller: Reader,
    period: Annotated[
        str | None,
        Query(max_length=10, description="A day or a month (UTC): `2026-01-31`, `2026-01`. Default: this month."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> UsageEndUserList:
    part = await gateway.tenants.usage.end_users(caller.id, period, limit=limit, first=decode_offset(cursor))
    return end_user_page(part)


def end_user_page(part: Part) -> UsageEndUserList:
    return {
        "object": "list",
        "data": [end_user_view(user) for user in part.end_users],
        "has_more": part.after is not None,
        "next_cursor": None if part.after is None else encode_offset(part.after),
    }


def end_user_view(user: EndUserSpending) -> UsageEndUser:
    return {"end_user_id": user.end_user_id, "pseudonym": user.pseudonym, "spent": usd(user.spent)}


def _drafts(report: Report) -> UsageDraftsView:
    direct, spent = sum(day.draft_direct for day in report.days), sum(day.draft_spent for day in report.days)
    return {"direct": usd(direct), "spent": usd(spent), "saved": usd(direct - spent)}


def _view(report: Report) -> UsageView:
    view: UsageView = {
        "object": "usage",
        "currency": "USD",
        "start": report.days[0].date,
        "end": report.days[-1].date,
        "spent": usd(sum(day.spent for day in report.days)),
        "drafts": _drafts(report),
        "days": [
            {"date": day.date, "created": day.created, "spent": usd(day.spent), "outcomes": day.outcomes}
            for day in report.days
        ],
        "end_users": [end_user_view(user) for user in report.end_users],
    }
    if not report.exact:
        view["end_users_incomplete"] = True
    return view


def _csv(report: Report, *, by_end_user: bool) -> Response:
    if by_end_user:
        head: Sequence[str] = ("end_user_id", "pseudonym", "spent_usd")
        rows: Iterable[Sequence[object]] = (
            (_quoted(user.end_user_id or ""), user.pseudonym, usd(user.spent)) for user in report.end_users
        )
    else:
        head = ("date", "created", *_OUTCOMES, "spent_usd")
        rows = ((day.date, day.created, *_by_outcome(day.outcomes), usd(day.spent)) for day in report.days)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows(rows)
    return Response(text.getvalue(), headers=NEGOTIATED, media_type="text/csv")


def _by_outcome(outcomes: dict[str, int]) -> list[int]:
    return [sum(n for name, n in outcomes.items() if name.partition(":")[0] == outcome) for outcome in _OUTCOMES]


def _quoted(text: str) -> str:
    """Quote a name that a spreadsheet would evaluate as a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
