"""``usage`` and ``budgets``: counts and money of all tenants as a table, as JSON or as CSV."""

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import typer

from service.api.admin.usage_views import budget_view, row_view
from service.api.v1.usage_schemas import figures_view
from service.cli.ops.session import Command, refused, with_runtime
from service.cli.output import Columns, show_list
from service.domain.operator import Role
from service.errors import FieldError, Invalid
from service.usecases.operations.usage import By, UsagePage
from service.usecases.operations.usage_table import FIGURES, KEYS, usage_csv

if TYPE_CHECKING:
    from service.runtime import Runtime

_PAGE: Final = 1000
_BUDGETS: Final[Columns] = {
    "tenant": lambda use: use["tenant_id"],
    "name": lambda use: use["tenant_name"],
    "budget USD": lambda use: use["monthly_budget_usd"],
    "spent USD": lambda use: use["spent"],
    "held USD": lambda use: use["held"],
    "used": lambda use: f"{use['share']:.1%}",
}


def usage(
    by: By,
    *,
    month: str | None,
    start: str | None,
    end: str | None,
    tenant_id: str | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Print all rows of a period, and after them its total."""
    pages = _pages(by, month, _day("start", start), _day("end", end), tenant_id)
    if as_csv:
        for number, page in enumerate(pages):
            typer.echo(usage_csv(page, with_head=number == 0).replace("\r\n", "\n"), nl=False)
        return
    show_list(_rows(by, pages), _columns(by), as_json=as_json)


def budgets(*, as_json: bool) -> None:
    """Print the tenants that have used most of their monthly budget."""
    found = with_runtime(lambda runtime: runtime.operations.tenant_budgets.near(100))
    show_list(map(budget_view, found), _BUDGETS, as_json=as_json)


def _pages(by: By, month: str | None, start: date | None, end: date | None, tenant_id: str | None) -> list[UsagePage]:
    """Return all pages. They are one act, since one entry of the audit trail stands for one command."""

    async def read(runtime: "Runtime") -> list[UsagePage]:
        reports, pages, first = runtime.operations.usage, list[UsagePage](), 0
        period = reports.period(month, start, end)
        while True:
            page = await reports.read(by, period, tenant_id=tenant_id, first=first, limit=_PAGE)
            pages.append(page)
            if page.after is None:
                return pages
            first = page.after

    act = None
    if by == "end_user":  # names of persons
        act = Command(action="read_account_usage", role=Role.OPERATOR, target=tenant_id, tenant_id=tenant_id)
    return with_runtime(read, act=act)


def _rows(by: By, pages: list[UsagePage]) -> Iterator[dict[str, Any]]:
    for page in pages:
        yield from ({**row_view(by, row)} for row in page.rows)
        if page.after is None:
            yield {KEYS[by][0]: "total", **figures_view(page.total)}


def _columns(by: By) -> Columns:
    return {
        **{name.replace("_", " "): lambda row, name=name: row.get(name) for name in KEYS[by]},
        **{f"{name} USD" if name in ("spent", "held") else name: lambda row, name=name: row[name] for name in FIGURES},
    }


def _day(name: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise refused(Invalid(FieldError(f"--{name}", "must be a day like 2026-01-31", "date"))) from None
