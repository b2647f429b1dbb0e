"""Usage and API keys of the own tenant."""

from datetime import timedelta
from typing import Final

from service.console.api_keys import page_of_keys
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Visit
from service.domain.tenant import Scope

account = ConsoleRoutes()
#: End users that the page shows; `GET /v1/usage/end-users` has all.
_END_USERS: Final = 10
#: Each day is one command of Redis.
_SHOWN: Final = timedelta(days=6)


@account.page("/tenant/usage", needs=Scope.READ)
async def show_usage(visit: Visit) -> Page:
    usage, today = visit.runtime.tenants.usage, visit.runtime.clock().date()
    days = await usage.days(visit.tenant.id, today - _SHOWN, today)
    of_month = await usage.end_users(visit.tenant.id, None, limit=_END_USERS, first=0)
    context = {"days": list(reversed(days)), "end_users": of_month.end_users}
    return Page("tenant/usage.html", "Usage", context)


@account.page("/tenant/keys", needs=Scope.READ)
async def list_keys(visit: Visit) -> Page:
    rows, following = await page_of_keys(visit, visit.tenant.id, "/tenant/keys")
    return Page("tenant/keys.html", "API keys", {"keys": rows, "next": following})
