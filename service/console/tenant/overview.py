"""The first page of a tenant: its month, its queue, and whether its generations are submitted."""

from datetime import timedelta
from typing import Any, Final

from service.console.charts import bar_chart
from service.console.rendering import money
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Visit
from service.domain.dispatch_gate import HOLD_TEXTS
from service.domain.tenant import Scope, Tenant
from service.usecases.tenants.overview import Overview

tenant = ConsoleRoutes()
#: Each day is two commands of Redis.
_SHOWN: Final = timedelta(days=6)


@tenant.page("/tenant", needs=Scope.READ)
async def show_tenant(visit: Visit) -> Page:
    tenants = visit.runtime.tenants
    overview = await tenants.overviews.read(visit.tenant)
    today = visit.runtime.clock().date()
    days = await tenants.usage.days(visit.tenant.id, today - _SHOWN, today)
    spent = bar_chart(
        "Spent by day",
        [(day.date, day.spent) for day in days],
        axis="Day (UTC)",
        unit="Spent",
        text=money,
    )
    context = {"tenant": visit.tenant, "facts": _facts(visit.tenant, overview), "spent": spent}
    return Page("tenant/overview.html", visit.tenant.name, context)


def _facts(tenant: Tenant, overview: Overview) -> list[tuple[str, Any]]:
    counters, budget = overview.counters, tenant.limits.monthly_budget
    return [
        ("Dispatch", "open" if overview.hold is None else HOLD_TEXTS[overview.hold]),
        ("Queued", counters.queued),
        ("Spent this month", money(counters.month.spent)),
        ("Held for generations that have not ended", money(counters.month.held)),
        ("Budget this month", "no limit" if budget is None else money(budget)),
    ]
