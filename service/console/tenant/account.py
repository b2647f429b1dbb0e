"""Usage and API keys of the own tenant."""

from typing import Final

from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Visit
from service.domain.tenant import Scope

account = ConsoleRoutes()
#: End users that the page shows; `GET /v1/usage/end-users` has all.
_END_USERS: Final = 20


@account.page("/tenant/usage", needs=Scope.READ)
async def show_usage(visit: Visit) -> Page:
    report = await visit.runtime.tenants.usage.report(visit.tenant.id, None, None)
    context = {"days": list(reversed(report.days)), "end_users": report.end_users[:_END_USERS]}
    return Page("tenant/usage.html", "Usage of this month", context)


@account.page("/tenant/keys", needs=Scope.READ)
async def list_keys(visit: Visit) -> Page:
    keys = await visit.runtime.tenants.service.list_keys(visit.tenant.id)
    now = visit.runtime.clock()
    rows = [(key, used, key.is_valid(now)) for key, used in keys]
    return Page("tenant/keys.html", "API keys", {"keys": rows})
