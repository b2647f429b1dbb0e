"""Checks of limits: whether anything limits the spending of the deployment, and what each tenant stores."""

from typing import Final

from service.config.settings import Settings
from service.domain.tenant import Tenant
from service.errors import StoreUnavailable, Unavailable
from service.usecases.operations.doctor.finding import Finding, ok, warn
from service.usecases.tenants.tenants import Tenants

_PAGE: Final = 500
#: Tenants that a finding names.
_NAMED: Final = 3


async def limits(settings: Settings, tenants: Tenants) -> list[Finding]:
    """Return a finding about spending and one about storage. Tenants that cannot be decrypted are another finding."""
    spending, storing, after = list[Tenant](), list[Tenant](), None
    try:
        while page := await tenants.page(limit=_PAGE, after=after):
            spending += [tenant for tenant in page if tenant.limits.monthly_budget is None]
            storing += [tenant for tenant in page if _stores_without_limit(tenant)]
            after = page[-1].id
    except StoreUnavailable:
        raise
    except Unavailable:
        return []
    return [_spending(settings, spending), _storage(storing)]


def _stores_without_limit(tenant: Tenant) -> bool:
    limits = tenant.limits
    counts = (limits.queued_generations, limits.daily_generations, limits.stored_deliveries, limits.daily_new_end_users)
    return all(count is None for count in counts)


def _spending(settings: Settings, unlimited: list[Tenant]) -> Finding:
    name = "spending limits"
    remedy = (
        "Set GATEWAY_ACCOUNT_DAILY_BUDGET_USD, GATEWAY_DEFAULT_MONTHLY_BUDGET_USD for new tenants, or "
        "monthly_budget_usd of each tenant."
    )
    if settings.account_daily_budget is not None:
        return ok(name, "the account has a daily budget")
    if unlimited:
        return warn(name, f"nothing limits spending of {_names(unlimited)}", remedy)
    if settings.default_monthly_budget_usd is None:
        return warn(name, "nothing limits spending of new tenants", remedy)
    return ok(name, "each tenant has a monthly budget")


def _storage(unlimited: list[Tenant]) -> Finding:
    name = "storage limits"
    if unlimited:
        remedy = "Set daily_generations, stored_deliveries and daily_new_end_users of these tenants."
        return warn(name, f"nothing limits what is stored of {_names(unlimited)}", remedy)
    return ok(name, "each tenant has some")


def _names(tenants: list[Tenant]) -> str:
    named = ", ".join(f"{tenant.name} ({tenant.id})" for tenant in tenants[:_NAMED])
    rest = len(tenants) - _NAMED
    return f"{named} and {rest} more" if rest > 0 else named
