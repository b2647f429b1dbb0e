"""Who does what, and what it costs."""

from typing import Final

from monitoring.grafana import Board, Panel, Query, Row
from monitoring.promql import OF_TENANT, or_zero, rate, state

_BY: Final = "tenant"
_LEGEND: Final = "{{tenant}}"


def _of(metric: str) -> str:
    return state(metric, by=_BY, where=OF_TENANT)


def _usd(metric: str) -> str:
    return f"{_of(metric)} / 1e6"


_USED: Final = f"({_of('gateway_held_micro_usd')} + {_of('gateway_spent_micro_usd')})"

TENANTS: Final = Board(
    "tenants",
    "tenants and money",
    "Who does what, and what it costs. Tenants without a generation this month or anything waiting are not shown.",
    [
        Row(
            "Work",
            [
                Panel(
                    "Accepted",
                    "Generations accepted per second, replays of an idempotency key not counted.",
                    "ops",
                    [Query(rate("gateway_generations_created_total", by=_BY, where=OF_TENANT), _LEGEND)],
                ),
                Panel(
                    "Refused",
                    "Creates refused per second: by a budget (402), or by a limit of the tenant or its end user.",
                    "ops",
                    [
                        Query(
                            or_zero(rate("gateway_generations_refused_total", by="tenant, reason", where=OF_TENANT)),
                            "{{tenant}} {{reason}}",
                        )
                    ],
                ),
                Panel(
                    "Replayed",
                    "Creates per second that an idempotency key answered: callers who repeat, mostly after a timeout.",
                    "ops",
                    [Query(or_zero(rate("gateway_generations_replayed_total", by=_BY, where=OF_TENANT)), _LEGEND)],
                ),
                Panel(
                    "Queued",
                    "Generations that wait to be dispatched.",
                    "none",
                    [Query(_of("gateway_queued"), _LEGEND)],
                ),
                Panel(
                    "Oldest queued",
                    "Age of the generation that has waited longest. Growing beside free slots: look at its own "
                    "limit or pause.",
                    "s",
                    [Query(_of("gateway_oldest_queued_seconds"), _LEGEND)],
                ),
                Panel(
                    "Slots",
                    "Generations at fal, by tenant, beside what all may have together.",
                    "none",
                    [
                        Query(_of("gateway_tenant_slots_used"), _LEGEND),
                        Query(state("gateway_slots_allowed"), "allowed"),
                    ],
                ),
                Panel(
                    "Ended",
                    "Generations ended per second, by how.",
                    "ops",
                    [
                        Query(
                            rate("gateway_generations_finished_total", by="tenant, status, code", where=OF_TENANT),
                            "{{tenant}} {{status}} {{code}}",
                        )
                    ],
                ),
            ],
        ),
        Row(
            "Money",
            [
                Panel(
                    "Month's budget used",
                    "Held and settled of this month (UTC) against the budget; tenants without one are not shown. What "
                    "no longer fits is refused with 402.",
                    "percentunit",
                    [Query(or_zero(f"{_USED} / {_of('gateway_budget_micro_usd')}"), _LEGEND)],
                ),
                Panel(
                    "Settled this month",
                    "What fal billed, or the estimate where it does not say.",
                    "currencyUSD",
                    [Query(_usd("gateway_spent_micro_usd"), _LEGEND)],
                ),
                Panel(
                    "Held",
                    "The most that generations under way can still cost.",
                    "currencyUSD",
                    [Query(_usd("gateway_held_micro_usd"), _LEGEND)],
                ),
                Panel(
                    "Spending",
                    "Settled per hour, at the present rate.",
                    "currencyUSD",
                    [Query(f"{rate('gateway_cost_micro_usd_total', by=_BY, where=OF_TENANT)} * 3600 / 1e6", _LEGEND)],
                ),
                Panel(
                    "The account's day",
                    "Everybody's generations of today (UTC), and the account's daily budget where there is one.",
                    "currencyUSD",
                    [
                        Query(f"{state('gateway_account_held_micro_usd')} / 1e6", "held"),
                        Query(f"{state('gateway_account_spent_micro_usd')} / 1e6", "settled"),
                        Query(f"{state('gateway_account_budget_micro_usd')} / 1e6", "budget"),
                    ],
                ),
            ],
        ),
    ],
    tenants=True,
)
