"""Usage as a page and as CSV: by day, model and error code the sums of up to 20 days; tenants and end users as lists.

A page runs 30 commands in Redis at most. The hash of one day is one command: a longer period continues on the next
page. Tenants and end users are listed by sums that are kept. ``GET /admin/v1/usage`` has all figures of any period.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final, cast, get_args
from urllib.parse import urlencode

from starlette.responses import Response

from service.api.http.cursors import decode_offset, encode_offset
from service.console.headers import HEADERS
from service.console.lists import ROWS
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Visit
from service.domain.actor import Actor
from service.domain.csv_tables import csv_text, text_cell
from service.domain.generation_view import rfc3339
from service.domain.operator import Role
from service.domain.pricing import usd
from service.errors import FieldError, Invalid
from service.usecases.operations.usage import By, Period, UsagePage
from service.usecases.operations.usage_lists import EndUserList, TenantList
from service.usecases.operations.usage_table import usage_csv
from service.usecases.tenants.usage import MOST_DAYS

usage = ConsoleRoutes()
#: Days that a page adds up.
_DAYS: Final = 20
#: Names of end users are read one by one, and recorded in the audit trail, which takes half of the commands.
_NAMED_ROWS: Final = 6
_TITLES: Final[dict[By, str]] = {
    "tenant": "Tenant",
    "day": "Day (UTC)",
    "model": "Model",
    "end_user": "End user",
    "code": "Error code",
}
_FILTERS: Final = ("by", "month", "start", "end", "tenant_id")
Report = UsagePage | TenantList | EndUserList


@usage.page("/money/usage", needs=Role.VIEWER)
async def show_usage(visit: Visit) -> Page:
    chosen, by = _chosen(visit), _grouping(visit)
    period = _period(visit, chosen)
    report, after = (None, None) if _missing(by, chosen) else await _read(visit, by, chosen, period)
    context = {
        "by": by,
        "chosen": chosen,
        "groupings": list(_TITLES.items()),
        "heading": _TITLES[by],
        "missing": _missing(by, chosen),
        "report": report,
        "kind": "" if report is None else type(report).__name__,
        "following": "" if after is None else _target("/money/usage", chosen, encode_offset(after)),
        "csv": _target("/money/usage.csv", chosen, visit.query.get("cursor", "")),
    }
    return Page("money/usage.html", "Usage", context)


@usage.page("/money/usage.csv", needs=Role.VIEWER)
async def download_usage(visit: Visit) -> Response:
    """Return the rows of the page with the same query."""
    chosen, by = _chosen(visit), _grouping(visit)
    period = _period(visit, chosen)
    if missing := _missing(by, chosen):
        raise Invalid(FieldError("/query/by", missing, "missing"))
    report, _ = await _read(visit, by, chosen, period)
    text, span = _csv(report)
    headers = {**HEADERS, "content-disposition": f'attachment; filename="usage-{by}-{span}.csv"'}
    return Response(text, headers=headers, media_type="text/csv")


def _missing(by: By, chosen: dict[str, str]) -> str:
    """Return what a grouping needs and the query does not have; "": nothing."""
    has_days = bool(chosen["start"] or chosen["end"])
    if by == "end_user" and not chosen["tenant_id"]:
        return "End users are shown for one tenant. Enter the id of a tenant."
    if by == "end_user" and has_days and chosen["start"] != chosen["end"]:
        return "End users are shown for a month, or for one day. Enter the same first and last day."
    if by == "tenant" and has_days and not chosen["tenant_id"]:
        return "Tenants are shown for a month. Enter a month in place of days, or the id of one tenant."
    return ""


def _period(visit: Visit, chosen: dict[str, str]) -> Period:
    start, end = _day("start", chosen["start"]), _day("end", chosen["end"])
    return visit.runtime.operations.usage.period(chosen["month"] or None, start, end)


async def _read(visit: Visit, by: By, chosen: dict[str, str], period: Period) -> tuple[Report, int | None]:
    """Return a part of a report, and the number of rows or days before the next part; None: this is the last one."""
    first, tenant_id = decode_offset(visit.query.get("cursor") or None), chosen["tenant_id"]
    lists = visit.runtime.operations.usage_lists
    if by == "tenant" and not tenant_id:
        of_tenants = await lists.of_month(chosen["month"] or None, first=first, limit=ROWS)
        return of_tenants, of_tenants.after
    if by == "end_user":
        actor = _actor(visit)
        rows = _NAMED_ROWS if actor.may_read_names else ROWS
        span = chosen["start"] or chosen["month"] or None
        of_users = await lists.end_users(actor, tenant_id, span, first=first, limit=rows)
        return of_users, of_users.after
    part, after = _part(period, first)
    return await visit.runtime.operations.usage.read(by, part, tenant_id=tenant_id or None, limit=1000), after


def _part(period: Period, first: int) -> tuple[Period, int | None]:
    """Return up to 20 days of a period, the newest first; ``first``: later days of it."""
    last = period.last - timedelta(days=min(first, MOST_DAYS))
    if last < period.first:
        raise Invalid(FieldError("/query/cursor", "is not a cursor of this period", "cursor"))
    begin = max(period.first, last - timedelta(days=_DAYS - 1))
    return Period(begin, last), None if begin == period.first else first + _DAYS


def _csv(report: Report) -> tuple[str, str]:
    """Return the table and the period."""
    match report:
        case TenantList():
            head = ("tenant_id", "tenant_name", "deleted_at", "created", "spent_usd", "held_usd")
            return _table(head, [_cells_of_tenant(row) for row in report.rows]), report.month
        case EndUserList():
            rows = [(row.end_user_id, row.pseudonym, usd(row.spent)) for row in report.rows]
            return _table(("end_user_id", "pseudonym", "spent_usd"), rows), report.period
    return usage_csv(report), f"{report.period.first}-{report.period.last}"


def _cells_of_tenant(row: Any) -> tuple[str | None, ...]:
    gone, money = row.tenant.deleted_at, row.money
    deleted_at = None if gone is None else rfc3339(gone)
    return row.tenant.id, row.tenant.name, deleted_at, str(money.count), usd(money.spent), usd(money.held)


def _table(head: Sequence[str], rows: Sequence[Sequence[str | None]]) -> str:
    return csv_text(head, [[text_cell(cell) for cell in row] for row in rows])


def _actor(visit: Visit) -> Actor:
    """Return who reads, for the audit trail."""
    request_id = visit.request.scope.get("request_id")
    return replace(visit.identity.actor, address=visit.address, request_id=request_id)


def _chosen(visit: Visit) -> dict[str, str]:
    return {name: visit.query.get(name, "").strip() for name in _FILTERS}


def _grouping(visit: Visit) -> By:
    text = visit.query.get("by", "").strip()
    if text and text not in get_args(By):
        raise Invalid(FieldError("/query/by", f"must be one of {', '.join(get_args(By))}", "literal_error"))
    return cast("By", text or "tenant")


def _day(name: str, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Invalid(FieldError(f"/query/{name}", "must be a day like 2026-01-31", "date")) from None


def _target(path: str, chosen: dict[str, str], cursor: str) -> str:
    given = {**chosen, "cursor": cursor}
    query = urlencode({name: value for name, value in given.items() if value})
    return f"{path}?{query}" if query else path
