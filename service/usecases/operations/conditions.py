"""Checks of the status page of what is kept in Redis for all tenants together, each with the threshold of its alert."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from service.store.redis.memory import Memory
from service.store.state.status import Figures, SlowFigures
from service.usecases.lifecycle.price_monitor import MISMATCHES
from service.usecases.operations.doctor.finding import Finding, fail, ok, warn

#: The thresholds of the alerts WorkQueueLagging, QueueAgeHigh, BudgetNearlySpent and TenantStorageHigh.
_LAGGING: Final = timedelta(seconds=60)
_OLD: Final = timedelta(seconds=1800)
NEAR_BUDGET: Final = 0.8
_MUCH_STORED: Final = 0.5
#: Tenants that a text names.
_NAMED: Final = 3


def of_figures(
    figures: Figures, names: Mapping[str, str], memory: Memory, now: datetime, *, account_budget: int | None
) -> list[Finding]:
    """Return the findings. ``names``: of the tenants that the figures have; a deleted one is not among them."""
    slow = figures.slow
    return [
        _lag(figures, now),
        _waiting(figures, names, now),
        _receivers(figures.failing_receivers),
        _dead_letters(figures.dead_letters),
        _budgets(slow, names, account_budget),
        _prices(slow.price_mismatches),
        _stored(slow, names, memory),
        _trail(slow.trail_breaks),
    ]


def _lag(figures: Figures, now: datetime) -> Finding:
    name = "work queues"
    late = {queue: now - first for queue, first in figures.due.items() if now - first > _LAGGING}
    if not late:
        return ok(name, "none is late")
    detail = ", ".join(f"{queue} by {wait.total_seconds():.0f} s" for queue, wait in sorted(late.items()))
    return warn(name, f"late: {detail}", "Start more workers of these queues.")


def _waiting(figures: Figures, names: Mapping[str, str], now: datetime) -> Finding:
    name = "oldest waiting work"
    old = [(tenant_id, now - since) for tenant_id, since in figures.waiting if now - since > _OLD]
    if not old:
        return ok(name, "none waits for half an hour")
    texts = [f"{names.get(tenant_id, tenant_id)} for {wait.total_seconds() // 60:.0f} min" for tenant_id, wait in old]
    remedy = "See whether dispatch is paused, all slots are in use, or the tenant has reached its own limit."
    return warn(name, f"queued generations wait: {', '.join(texts)}", remedy)


def _receivers(failing: int) -> Finding:
    name = "webhook receivers"
    if not failing:
        return ok(name, "none has failed for an hour")
    return warn(name, f"all attempts to {failing:,} receivers have failed for an hour", "Inform their tenants.")


def _dead_letters(count: int) -> Finding:
    name = "dead letters"
    if not count:
        return ok(name, "none")
    remedy = "When the receivers work again, replay the deliveries, or let their tenants replay them."
    return warn(name, f"webhook deliveries that are dead letters: {count:,}", remedy)


def _budgets(slow: SlowFigures, names: Mapping[str, str], account_budget: int | None) -> Finding:
    name = "budgets"
    texts = [f"{names.get(each, each)} {share:.0%}" for each, share in slow.near_budget.items()]
    used = 0.0 if account_budget is None else (slow.account.held + slow.account.spent) / max(account_budget, 1)
    if used >= NEAR_BUDGET:
        texts.insert(0, f"the account today {used:.0%}")
    if not texts:
        return ok(name, "none is nearly used up")
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    remedy = "Beyond a budget creates are refused (402). Raise it, or inform the tenant."
    return warn(name, f"used: {', '.join(texts[:_NAMED])}{more}", remedy)


def _prices(mismatches: Mapping[str, int]) -> Finding:
    changed = sorted(resolution for resolution, count in mismatches.items() if count >= MISMATCHES)
    if not changed:
        return ok("prices", "fal bills what the formula gives")
    detail = f"fal bills {', '.join(changed)} videos differently from the price formula"
    return warn("prices", detail, "Compare fal's price list with the settings; correct costs with an adjustment.")


def _stored(slow: SlowFigures, names: Mapping[str, str], memory: Memory) -> Finding:
    name = "storage of tenants"
    if slow.largest is None or not memory.create_limit:
        return ok(name, "no tenant stores much")
    tenant_id, size = slow.largest
    share = size / memory.create_limit
    detail = f"{names.get(tenant_id, tenant_id)} stores {share:.0%} of the memory at which creates are refused"
    if share <= _MUCH_STORED:
        return ok(name, "no tenant stores much")
    return warn(name, detail, "Shorten its retention, or lower its limits of stored deliveries and daily generations.")


def _trail(breaks: int) -> Finding:
    if not breaks:
        return ok("audit trail", "no break was found")
    detail = f"the hash chain is broken in {breaks} places"
    return fail("audit trail", detail, "Run `seedance-gateway audit --trail`, and compare the entries with the logs.")
