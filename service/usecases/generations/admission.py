"""Whether a request may become a generation: what its tenant is entitled to, where it reports, what it may cost."""

from typing import Final

from service.clock import Clock
from service.domain import budgets, end_user
from service.domain.budgets import Budgets
from service.domain.generation import Generation
from service.domain.generation_view import rfc3339
from service.domain.pricing import Rates, usd
from service.domain.request import CreateGeneration
from service.domain.tenant import Tenant
from service.errors import (
    CostRefused,
    Draining,
    EndUserBlocked,
    EndUserLimited,
    FieldError,
    GatewayError,
    Invalid,
    OverBudget,
    QueueFull,
    StoreFull,
    Unauthenticated,
)
from service.net.ssrf import AddressGuard, AddressRefused
from service.store.generations import creation
from service.store.money.money import MoneyStore
from service.usecases.tenants.authentication import UNKNOWN_KEY

#: What a caller with a full queue is told to wait: about the time a video takes.
_QUEUE_PAUSE: Final = 60.0


class Admission:
    """The checks that need no store come before the create script; ``refused`` puts the script's own into words."""

    def __init__(
        self, money_store: MoneyStore, guard: AddressGuard, *, rates: Rates, account_budget: int | None, clock: Clock
    ) -> None:
        self._money = money_store
        self._guard = guard
        self._rates = rates
        self._account_budget = account_budget
        self._clock = clock

    def check(self, tenant: Tenant, request: CreateGeneration, *, webhook: str = "/webhook_url") -> int:
        """What it may cost at most, in micro-USD.

        Raises:
            Invalid: a field asks for more than the tenant is entitled to, or for a webhook we would not send.
            CostRefused: the estimate is above the request's own maximum.

        """
        self.check_webhook(request.webhook_url or tenant.limits.webhook_url, webhook)
        _check_entitled(tenant, request)
        cost = self._rates.estimate(request.resolution, request.duration)
        if request.max_cost_usd is not None and cost > request.max_cost_usd:
            raise CostRefused(
                f"It may cost {usd(cost)} USD, more than max_cost_usd allows ({usd(request.max_cost_usd)}).",
                scope="request",
                limit=usd(request.max_cost_usd),
                available=usd(request.max_cost_usd),
                estimated=usd(cost),
            )
        return cost

    def check_webhook(self, url: str | None, pointer: str = "/webhook_url") -> None:
        """Raises Invalid for an address we would not call."""
        if url is None:
            return
        try:
            self._guard.check_url(url)
        except AddressRefused as refusal:
            raise Invalid(FieldError(pointer, refusal.reason, "address_refused")) from None

    def budgets(self, tenant: Tenant) -> Budgets:
        limits = tenant.limits
        return Budgets(
            tenant_month=limits.monthly_budget,
            end_user_day=limits.end_user_daily_budget,
            account_day=self._account_budget,
            end_user_day_count=limits.end_user_daily_count,
        )

    async def quote(self, tenant: Tenant, request: CreateGeneration) -> tuple[int, bool]:
        """What it may cost, in micro-USD, and whether every budget has room for that now. Raises as ``check`` does."""
        cost, now = self.check(tenant, request), self._clock()
        pseudonym = end_user.pseudonym(tenant, request.end_user_id)
        standings = await self._money.standings(
            tenant.id, pseudonym, today=budgets.day(now), this_month=budgets.month(now)
        )
        limits = self.budgets(tenant).by_scope()
        return cost, all(limit is None or cost <= standings[scope].available(limit) for scope, limit in limits.items())


def reason(refusal: creation.OverBudget | creation.Refused) -> str:
    """A word for the metrics."""
    return refusal.scope if isinstance(refusal, creation.OverBudget) else refusal.reason


def refused(  # noqa: PLR0911  (one return per refusal)
    refusal: creation.OverBudget | creation.Refused, g: Generation, limits: Budgets
) -> GatewayError:
    match refusal:
        case creation.OverBudget(scope, available):
            limit = limits.by_scope()[scope]
            return OverBudget(
                f"It may cost {usd(g.estimated_cost)} USD; the budget {scope} has {usd(available)} USD left.",
                scope=scope,
                limit=usd(limit or 0),
                available=usd(max(0, available)),
                estimated=usd(g.estimated_cost),
                resets_at=rfc3339(budgets.resets_at(scope, g.created_at)),
            )
        case creation.Refused("over_count", count):
            tomorrow = budgets.resets_at(budgets.Scope.END_USER_DAY, g.created_at)
            return EndUserLimited(
                f"This end user has had {count} generations today, as many as it may.",
                retry_after=(tomorrow - g.created_at).total_seconds(),
            )
        case creation.Refused("queue_full", count):
            text = f"{count} generations of this tenant are waiting, as many as may."
            return QueueFull(text, retry_after=_QUEUE_PAUSE)
        case creation.Refused("gone"):
            return Unauthenticated(UNKNOWN_KEY)
        case creation.Refused("store_full"):
            return StoreFull("Redis is nearly full, and accepts nothing new.")
        case creation.Refused("draining"):
            return Draining("The gateway accepts nothing new for now.", retry_after=_QUEUE_PAUSE)
    return EndUserBlocked("This end user is blocked.")


def _check_entitled(tenant: Tenant, request: CreateGeneration) -> None:
    """What this tenant may not ask for, beyond what nobody may."""
    limits, faults = tenant.limits, []
    if limits.resolutions is not None and request.resolution not in limits.resolutions:
        faults.append(FieldError("/resolution", f"must be one of {', '.join(limits.resolutions)}", "not_entitled"))
    if limits.durations is not None and request.duration not in limits.durations:
        faults.append(FieldError("/duration", f"must be one of {', '.join(limits.durations)}", "not_entitled"))
    if tenant.require_end_user and request.end_user_id is None:
        faults.append(FieldError("/end_user_id", "is required by this tenant", "missing"))
    if faults:
        raise Invalid(*faults)
