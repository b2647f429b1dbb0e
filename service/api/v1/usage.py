"""``/v1/usage``: money and counts by day and by end user, as JSON or CSV, and pages of end users."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request, Response

from service.api.http.accept import NEGOTIATED, preferred
from service.api.http.cursor_queries import Cursor
from service.api.http.cursors import decode_offset, encode_offset
from service.api.http.dependencies import Gateway, Reader
from service.api.http.responses import json_response
from service.api.v1.usage_schemas import UsageDraftsView, UsageEndUser, UsageEndUserList, UsageView, figures_view
from service.domain.csv_tables import csv_text, text_cell
from service.domain.figures import Figures, by_code, by_model
from service.domain.pricing import usd
from service.domain.timestamps import Day
from service.domain.usage import EndUserSpending, EndUserUsage
from service.usecases.tenants.usage import Part, Report

router = APIRouter(prefix="/v1/usage", tags=["usage"])

_EXAMPLE: Final = "date,created,succeeded,failed,canceled,spent_usd\r\n2026-01-31,3,2,0,0,3.024000\r\n"
_OUTCOMES: Final = ("succeeded", "failed", "canceled")
_COUNTS: Final = ("created", *_OUTCOMES, "refused")
By = Literal["day", "end_user", "model", "code"]


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
    start: Annotated[Day | None, Query(description="First day (UTC). Default: the first of this month.")] = None,
    end: Annotated[
        Day | None, Query(description="Last day (UTC), included, 92 days after `start` at most. Default: today.")
    ] = None,
    by: Annotated[
        By,
        Query(
            description="Rows of the CSV: `day` (default), `end_user`, `model` or `code` (error codes of failures and "
            "refusals). The JSON always has days and end users; with `end_user` these have counts, and `model` or "
            "`code` adds the list `models` or `codes`."
        ),
    ] = "day",
) -> Response:
    usage = gateway.tenants.usage
    report = await usage.report(caller.id, start, end)
    end_users = await usage.with_figures(caller, report) if by == "end_user" else []
    if preferred(request, "application/json", "text/csv") == "text/csv":
        return Response(_csv(report, by, end_users), headers=NEGOTIATED, media_type="text/csv")
    return json_response(_view(report, by, end_users), headers=NEGOTIATED)


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
    cursor: Cursor = None,
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


def _view(report: Report, by: By, end_users: Sequence[EndUserUsage]) -> UsageView:
    view: UsageView = {
        "object": "usage",
        "currency": "USD",
        "start": report.days[0].date,
        "end": report.days[-1].date,
        "spent": usd(sum(day.spent for day in report.days)),
        "drafts": _drafts(report),
        "days": [
            {
                "date": day.date,
                "created": day.created,
                "spent": usd(day.spent),
                "outcomes": day.outcomes,
                "refusals": day.refusals,
            }
            for day in report.days
        ],
        "end_users": [end_user_view(user) for user in report.end_users],
    }
    if not report.exact:
        view["end_users_incomplete"] = True
    if by == "end_user":
        view["end_users"] = [_with_figures(user) for user in end_users]
    if by == "model":
        view["models"] = [{"model": model, **figures_view(sums)} for model, sums in by_model(report.days).items()]
    if by == "code":
        view["codes"] = [{"code": code, **figures_view(sums)} for code, sums in by_code(report.days).items()]
    return view


def _with_figures(user: EndUserUsage) -> UsageEndUser:
    figures = figures_view(user.figures)
    spent = end_user_view(user.spending)
    return {**spent, "end_user": user.kind, **figures, "refusals": user.refusals, "spent": spent["spent"]}


def _csv(report: Report, by: By, end_users: Sequence[EndUserUsage]) -> str:
    match by:
        case "end_user":
            head: Sequence[str] = ("end_user_id", "pseudonym", "spent_usd", "end_user", *_COUNTS, "held_usd")
            rows: Iterable[Sequence[object]] = map(_end_user_cells, end_users)
        case "model":
            head, rows = (by, *_COUNTS, "spent_usd", "held_usd"), map(_cells, by_model(report.days).items())
        case "code":
            head, rows = (by, *_COUNTS, "spent_usd", "held_usd"), map(_cells, by_code(report.days).items())
        case _:
            head = ("date", "created", *_OUTCOMES, "spent_usd")
            rows = ((day.date, day.created, *_by_outcome(day.outcomes), usd(day.spent)) for day in report.days)
    return csv_text(head, rows)


def _end_user_cells(user: EndUserUsage) -> Sequence[object]:
    name, figures = text_cell(user.spending.end_user_id), user.figures
    counts = [getattr(figures, each) for each in _COUNTS]
    return (name, user.spending.pseudonym, usd(user.spending.spent), user.kind, *counts, usd(figures.held))


def _cells(group: tuple[str | None, Figures]) -> Sequence[object]:
    name, figures = group
    counts = [getattr(figures, each) for each in _COUNTS]
    return (text_cell(name), *counts, usd(figures.spent), usd(figures.held))


def _by_outcome(outcomes: dict[str, int]) -> list[int]:
    return [sum(n for name, n in outcomes.items() if name.partition(":")[0] == outcome) for outcome in _OUTCOMES]
