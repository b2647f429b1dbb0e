"""Reports of usage as JSON and as CSV, for the admin API, the command line and the console."""

from typing import Any, Literal

from typing_extensions import TypedDict

from service.api.http.cursors import encode_offset
from service.api.v1.usage_schemas import FiguresView, figures_view
from service.domain.described import Date, Timestamp, described
from service.domain.pricing import usd
from service.domain.usage import EndUserKind
from service.usecases.operations.tenant_budgets import BudgetUse
from service.usecases.operations.usage import By, Row, UsagePage
from service.usecases.operations.usage_table import KEYS, key_of


@described
class UsageRowView(FiguresView, total=False):
    """One row. It has the fields of its grouping, and always the figures."""

    tenant_id: str
    """The tenant. With `by=tenant`."""
    tenant_name: str | None
    """Its name, the last one if it is deleted. `null`: not known any more. With `by=tenant`."""
    deleted_at: Timestamp | None
    """When it was deleted; `null`: it was not. With `by=tenant`."""
    date: Date
    """The day (UTC). With `by=day`."""
    model: str | None
    """The model's id. `null`: what belongs to no model, like refused creates. With `by=model`."""
    code: str | None
    """An error code of failures and refusals. `null`: generations without an error. With `by=code`."""
    end_user_id: str | None
    """The end user as the tenant names it; `null`: see `end_user`. With `by=end_user`."""
    pseudonym: str
    """The id that fal receives instead. With `by=end_user`."""
    end_user: EndUserKind
    """`named`; `none`: generations without an end user; `erased`: the name is deleted; `unnamed`: it has refused
    creates only, which store no name. With `by=end_user`.
    """
    outcomes: dict[str, int]
    """Count by outcome: `succeeded`, `canceled` and `failed:` with the error code. With `by=tenant` and `by=day`."""
    refusals: dict[str, int]
    """Refused creates by error code. With `by=tenant`, `by=day` and `by=end_user`; of end users of a day, at most 256
    pairs of end user and code are counted.
    """


@described
class AccountUsageView(TypedDict):
    object: Literal["usage"]
    """Always `usage`."""
    currency: Literal["USD"]
    """Always `USD`."""
    by: By
    """The grouping of `data`."""
    start: Date
    """First day of the period (UTC)."""
    end: Date
    """Last day of the period (UTC), included."""
    tenant_id: str | None
    """The tenant of the report; `null`: all tenants."""
    total: FiguresView
    """Of the whole period, over all pages."""
    data: list[UsageRowView]
    """A page of rows, by spending, the highest first; with `by=day` by date. A page can have fewer than `limit`."""
    has_more: bool
    """Whether there is a further page."""
    next_cursor: str | None
    """The `cursor` of the next page."""
    incomplete: bool
    """Whether end users with low spending are missing: the period is several months or days with many end users."""


def usage_view(page: UsagePage) -> AccountUsageView:
    return {
        "object": "usage",
        "currency": "USD",
        "by": page.by,
        "start": page.period.first.isoformat(),
        "end": page.period.last.isoformat(),
        "tenant_id": None if page.tenant is None else page.tenant.id,
        "total": figures_view(page.total),
        "data": [row_view(page.by, row) for row in page.rows],
        "has_more": page.after is not None,
        "next_cursor": None if page.after is None else encode_offset(page.after),
        "incomplete": page.incomplete,
    }


def row_view(by: By, row: Row) -> UsageRowView:
    """Return the fields of the grouping, then the figures."""
    view: dict[str, Any] = dict(zip(KEYS[by], key_of(by, row), strict=True)) | {**figures_view(row.figures)}
    if by in ("tenant", "day"):
        view["outcomes"] = dict(row.outcomes)
    if by in ("tenant", "day", "end_user"):
        view["refusals"] = dict(row.refusals)
    return view  # type: ignore[return-value]


@described
class BudgetView(TypedDict):
    tenant_id: str
    """The tenant."""
    tenant_name: str
    """Its name."""
    monthly_budget_usd: str
    """Its monthly budget in US dollars, as a decimal string."""
    spent: str
    """US dollars spent this month, as a decimal string."""
    held: str
    """US dollars held for generations of this month that have not ended, as a decimal string."""
    share: float
    """Held and spent as a share of the budget; 1 is the whole budget."""


@described
class BudgetList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[BudgetView]
    """The tenants with the highest shares, the highest first."""


def budget_view(use: BudgetUse) -> BudgetView:
    return {
        "tenant_id": use.tenant.id,
        "tenant_name": use.tenant.name,
        "monthly_budget_usd": usd(use.limit),
        "spent": usd(use.standing.spent),
        "held": usd(use.standing.held),
        "share": round(use.share, 4),
    }
