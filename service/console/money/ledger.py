"""The ledger of one generation."""

from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Visit
from service.domain.operator import Role

ledger = ConsoleRoutes()


@ledger.page("/money/ledger", needs=Role.VIEWER)
async def show_ledger(visit: Visit) -> Page:
    generation_id = visit.query.get("id", "").strip()
    found = await visit.runtime.operations.ledgers.read(generation_id) if generation_id else None
    context = {"generation_id": generation_id, "found": found, "may_adjust": visit.may(Role.ADMIN)}
    return Page("money/ledger.html", "Ledger", context)
