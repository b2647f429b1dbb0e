"""The money of the account: held and spent today."""

from service.console.rendering import money as dollars
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Visit
from service.domain.operator import Role

money = ConsoleRoutes()


@money.page("/money", needs=Role.VIEWER)
async def show_money(visit: Visit) -> Page:
    found = await visit.runtime.operations.status.read()
    budget, standing = visit.runtime.settings.account_daily_budget, found.account.money
    facts = [
        ("Spent today (UTC)", dollars(standing.spent)),
        ("Held for generations that have not ended", dollars(standing.held)),
        ("Budget of the account today", "no limit" if budget is None else dollars(budget)),
    ]
    return Page("money/overview.html", "Today", {"facts": facts})
