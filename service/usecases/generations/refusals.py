"""Errors for the refusals of the create script."""

from typing import Final

from service.domain import budgets
from service.domain.budgets import Budgets
from service.domain.generation import Generation
from service.domain.generation_view import rfc3339
from service.domain.pricing import usd
from service.errors import (
    DailyLimited,
    DeliveriesFull,
    Draining,
    EndUserBlocked,
    EndUserLimited,
    GatewayError,
    NewEndUsersLimited,
    OverBudget,
    QueueFull,
    StoreFull,
    TenantStoreFull,
    TooMany,
    Unauthenticated,
)
from service.store.generations import creation
from service.store.redis.memory import TENANT_STORE_FULL
from service.usecases.generations.ownership import generation_not_found
from service.usecases.tenants.authentication import UNKNOWN_KEY

#: Retry-After of a full queue and of a draining gateway, in seconds: about the time that a video takes.
_QUEUE_RETRY_AFTER: Final = 60.0
#: Limits of the tenant or of its end user that the create script checks: the error, and its text for a count.
_LIMITS: Final[dict[str, tuple[type[TooMany], str]]] = {
    "over_count": (EndUserLimited, "Daily limit of generations reached for this end user ({} today)."),
    "over_daily_count": (DailyLimited, "Daily limit of generations reached ({} today, canceled ones included)."),
    "new_end_users": (
        NewEndUsersLimited,
        "Daily limit of new end users reached ({} today). End users named before are accepted.",
    ),
    "queue_full": (QueueFull, "Queue limit reached: {} generations are queued."),
    "deliveries_full": (
        DeliveriesFull,
        "Limit of stored webhook deliveries reached: {} are stored. They are deleted with their generations.",
    ),
}
#: Retry-After of these, in seconds; of the others it is the end of the day.
_RETRY_AFTER: Final = {"queue_full": _QUEUE_RETRY_AFTER, "deliveries_full": 3600.0}


def refusal_reason(refusal: creation.OverBudget | creation.Refused) -> str:
    """Return the metric's label of a refusal."""
    return refusal.scope if isinstance(refusal, creation.OverBudget) else refusal.reason


def refusal_error(  # noqa: PLR0911  (one return per refusal)
    refusal: creation.OverBudget | creation.Refused, g: Generation, limits: Budgets
) -> GatewayError:
    match refusal:
        case creation.OverBudget(scope, available):
            limit = limits.by_scope()[scope]
            return OverBudget(
                f"This may cost up to {usd(g.estimated_cost)} USD; the budget {scope} has {usd(available)} USD left.",
                scope=scope,
                limit=usd(limit or 0),
                available=usd(max(0, available)),
                estimated=usd(g.estimated_cost),
                resets_at=rfc3339(budgets.resets_at(scope, g.created_at)),
            )
        case creation.Refused(reason, count) if reason in _LIMITS:
            kind, detail = _LIMITS[reason]
            return kind(detail.format(count), retry_after=_RETRY_AFTER.get(reason) or _seconds_left_of_day(g))
        case creation.Refused("gone"):
            return Unauthenticated(UNKNOWN_KEY)
        case creation.Refused("draft_gone"):
            return generation_not_found()
        case creation.Refused("store_full"):
            return StoreFull("Redis is nearly full; the gateway accepts no new generations.")
        case creation.Refused("tenant_store_full"):
            return TenantStoreFull(TENANT_STORE_FULL)
        case creation.Refused("draining"):
            return Draining("The gateway is draining for maintenance.", retry_after=_QUEUE_RETRY_AFTER)
    return EndUserBlocked("This end user is blocked.")


def deliveries_full(stored: int) -> TooMany:
    kind, detail = _LIMITS["deliveries_full"]
    return kind(detail.format(stored), retry_after=_RETRY_AFTER["deliveries_full"])


def _seconds_left_of_day(g: Generation) -> float:
    return (budgets.resets_at(budgets.Scope.END_USER_DAY, g.created_at) - g.created_at).total_seconds()
