"""Usage in a month or some days, by tenant, day, model, end user or error code, as a page and as CSV."""

from dataclasses import replace
from datetime import date
from typing import Final, cast, get_args
from urllib.parse import urlencode

from starlette.responses import Response

from service.api.http.cursors import decode_offset, encode_offset
from service.console.headers import HEADERS
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Visit
from service.domain.actor import Actor
from service.domain.operator import Role
from service.errors import FieldError, Invalid
from service.usecases.operations.usage import By, UsagePage
from service.usecases.operations.usage_table import usage_csv

usage = ConsoleRoutes()
#: Rows of a page: of 31 days each, they are read by a handful of commands.
_ROWS: Final = 50
_CSV_ROWS: Final = 1000
_TITLES: Final[dict[By, str]] = {
    "tenant": "Tenant",
    "day": "Day (UTC)",
    "model": "Model",
    "end_user": "End user",
    "code": "Error code",
}
_FILTERS: Final = ("by", "month", "start", "end", "tenant_id")


@usage.page("/money/usage", needs=Role.VIEWER)
async def show_usage(visit: Visit) -> Page:
    chosen = {name: visit.query.get(name, "").strip() for name in _FILTERS}
    by = _grouping(chosen["by"])
    if by == "end_user" and not chosen["tenant_id"]:
        report, following = None, ""
    else:
        report = await _read(visit, by, chosen, _ROWS)
        following = "" if report.after is None else _target("/money/usage", chosen, encode_offset(report.after))
    context = {
        "by": by,
        "chosen": chosen,
        "groupings": list(_TITLES.items()),
        "heading": _TITLES[by],
        "report": report,
        "following": following,
        "csv": _target("/money/usage.csv", chosen, visit.query.get("cursor", "")),
        "months": {name: _target("/money/usage", {**chosen, "by": name}, "") for name in _TITLES},
    }
    return Page("money/usage.html", "Usage", context)


@usage.page("/money/usage.csv", needs=Role.VIEWER)
async def download_usage(visit: Visit) -> Response:
    """Return up to 1,000 rows; the last row is the total if there are no more."""
    chosen = {name: visit.query.get(name, "").strip() for name in _FILTERS}
    report = await _read(visit, _grouping(chosen["by"]), chosen, _CSV_ROWS)
    name = f"usage-{report.by}-{report.period.first}-{report.period.last}.csv"
    headers = {**HEADERS, "content-disposition": f'attachment; filename="{name}"'}
    return Response(usage_csv(report), headers=headers, media_type="text/csv")


async def _read(visit: Visit, by: By, chosen: dict[str, str], limit: int) -> UsagePage:
    reports = visit.runtime.operations.usage
    start, end = _day("start", chosen["start"]), _day("end", chosen["end"])
    return await reports.read_as(
        _actor(visit),
        by,
        reports.period(chosen["month"] or None, start, end),
        tenant_id=chosen["tenant_id"] or None,
        first=decode_offset(visit.query.get("cursor") or None),
        limit=limit,
    )


def _actor(visit: Visit) -> Actor:
    """Return who reads, for the audit trail."""
    request_id = visit.request.scope.get("request_id")
    return replace(visit.identity.actor, address=visit.address, request_id=request_id)


def _grouping(text: str) -> By:
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
