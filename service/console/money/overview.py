"""The money of the account: held and spent today and by day of this month, and who is near a budget."""

from collections.abc import Sequence
from typing import Final

from service.console.charts import bar_chart
from service.console.rendering import money as dollars
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Visit
from service.domain.operator import Role
from service.usecases.operations.usage import Row

money = ConsoleRoutes()
_NEAR: Final = 0.8
_SHOWN: Final = 10
_MOST: Final = 100


@money.page("/money", needs=Role.VIEWER)
async def show_money(visit: Visit) -> Page:
    operations = visit.runtime.operations
    found = await operations.status.read()
    budget, standing = visit.runtime.settings.account_daily_budget, found.figures.slow.account
    facts = [
        ("Spent today (UTC)", dollars(standing.spent)),
        ("Held for generations that have not ended", dollars(standing.held)),
        ("Budget of the account today", "no limit" if budget is None else dollars(budget)),
    ]
    page = await operations.usage.read("day", operations.usage.period(), limit=31)
    charts = [
        bar_chart(f"{title} by day", _points(page.rows, name), axis="Day (UTC)", unit=title, text=dollars)
        for title, name in (("Spent", "spent"), ("Held", "held"))
    ]
    context = {
        "facts": facts,
        "charts": charts,
        "total": page.total,
        "near": await operations.usage.near_budgets(_SHOWN, least_share=_NEAR),
    }
    return Page("money/overview.html", "Money", context)


@money.page("/money/budgets", needs=Role.VIEWER)
async def show_budgets(visit: Visit) -> Page:
    uses = await visit.runtime.operations.usage.near_budgets(_MOST)
    return Page("money/budgets.html", "Budgets", {"uses": uses, "most": _MOST, "may_change": visit.may(Role.ADMIN)})


def _points(rows: Sequence[Row], name: str) -> list[tuple[str, int]]:
    """Return a point for each day. A correction can make the sum of a day negative: such a day has no bar."""
    return [(row.date or "", max(0, getattr(row.figures, name))) for row in rows]
