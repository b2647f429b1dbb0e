"""``/v1/usage``: money and counts by day and by end user, as JSON or CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request, Response

from service.api.http.dependencies import Gateway, Reader
from service.api.http.responses import json_response
from service.api.schemas import UsageView
from service.domain.pricing import usd
from service.usecases.tenants.usage import Report

router = APIRouter(prefix="/v1/usage", tags=["usage"])

_EXAMPLE: Final = "date,created,succeeded,failed,canceled,spent_usd\r\n2026-01-31,3,2,0,0,3.024000\r\n"
_OUTCOMES: Final = ("succeeded", "failed", "canceled")


@router.get(
    "",
    summary="Read usage by day and end user",
    responses={
        200: {"model": UsageView, "content": {"text/csv": {"schema": {"type": "string"}, "example": _EXAMPLE}}},
    },
)
async def read(
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
    if "text/csv" in request.headers.get("accept", ""):
        return _csv(report, by_end_user=by == "end_user")
    return json_response(_view(report))


def _view(report: Report) -> UsageView:
    return {
        "object": "usage",
        "currency": "USD",
        "start": report.days[0].date,
        "end": report.days[-1].date,
        "spent": usd(sum(day.spent for day in report.days)),
        "days": [
            {"date": day.date, "created": day.created, "spent": usd(day.spent), "outcomes": day.outcomes}
            for day in report.days
        ],
        "end_users": [
            {"end_user_id": user.end_user_id, "pseudonym": user.pseudonym, "spent": usd(user.spent)}
            for user in report.end_users
        ],
    }


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
    return Response(text.getvalue(), media_type="text/csv")


def _by_outcome(outcomes: dict[str, int]) -> list[int]:
    return [sum(n for name, n in outcomes.items() if name.partition(":")[0] == outcome) for outcome in _OUTCOMES]


def _quoted(text: str) -> str:
    """Quote a name that a spreadsheet would evaluate as a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
