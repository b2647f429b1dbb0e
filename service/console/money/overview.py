"""The money of the account: held and spent today and by day, and who is near a budget."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from service.api.http.cursors import decode_offset, encode_offset
from service.console.charts import bar_chart
from service.console.lists import ROWS
from service.console.rendering import money as dollars
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Visit
from service.domain.operator import Role
from service.usecases.operations.usage import Row

money = ConsoleRoutes()
_NEAR: Final = 0.8
#: Each day, and each tenant, is one command of Redis.
_DAYS: Final = 14
_SHOWN: Final = 5


@money.page("/money", needs=Role.VIEWER)
async def show_money(visit: Visit) -> Page:
    operations = visit.runtime.operations
    budget, standing = visit.runtime.settings.account_daily_budget, await operations.usage_lists.account_today()
    facts = [
        ("Spent today (UTC)", dollars(standing.spent)),
        ("Held for generations that have not ended", dollars(standing.held)),
        ("Budget of the account today", "no limit" if budget is None else dollars(budget)),
    ]
    start = visit.runtime.clock().date() - timedelta(days=_DAYS - 1)
    page = await operations.usage.read("day", operations.usage.period(start=start), limit=_DAYS)
    charts = [
        bar_chart(f"{title} by day", _points(page.rows, name), axis="Day (UTC)", unit=title, text=dollars)
        for title, name in (("Spent", "spent"), ("Held", "held"))
    ]
    context = {
        "facts": facts,
        "charts": charts,
        "total": page.total,
        "days": _DAYS,
        "near": await operations.tenant_budgets.near(_SHOWN, least_share=_NEAR),
    }
    return Page("money/overview.html", "Money", context)


@money.page("/money/budgets", needs=Role.VIEWER)
async def show_budgets(visit: Visit) -> Page:
    first = decode_offset(visit.query.get("cursor") or None)
    uses = await visit.runtime.operations.tenant_budgets.near(ROWS + 1, first=first)
    following = None if len(uses) <= ROWS else f"/money/budgets?cursor={encode_offset(first + ROWS)}"
    return Page(
        "money/budgets.html",
        "Budgets",
        {"uses": uses[:ROWS], "following": following, "may_change": visit.may(Role.ADMIN)},
    )


def _points(rows: Sequence[Row], name: str) -> list[tuple[str, int]]:
    """Return a point for each day. A correction can make the sum of a day negative: such a day has no bar."""
    return [(row.date or "", max(0, getattr(row.figures, name))) for row in rows]
