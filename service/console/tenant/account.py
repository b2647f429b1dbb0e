"""Usage and API keys of the own tenant."""

from datetime import timedelta
from typing import Final

from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Visit
from service.domain.tenant import Scope

account = ConsoleRoutes()
#: End users that the page shows; `GET /v1/usage/end-users` has all.
_END_USERS: Final = 20
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
    keys = await visit.runtime.tenants.service.list_keys(visit.tenant.id)
    now = visit.runtime.clock()
    rows = [(key, used, key.is_valid(now)) for key, used in keys]
    return Page("tenant/keys.html", "API keys", {"keys": rows})
