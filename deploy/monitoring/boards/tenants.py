"""The board of each tenant's work and money."""

from typing import Final

from monitoring.panels import Board, Limits, Panel, Query, Row
from monitoring.promql import OF_TENANT, increase, named, per_minute, rate, state

_BY: Final = "tenant"
_LEGEND: Final = "{{name}}"


def _of(metric: str) -> str:
    return state(metric, by=_BY, where=OF_TENANT)


def _gauge(metric: str) -> Query:
    return Query(named(_of(metric)), _LEGEND)


def _usd(metric: str) -> Query:
    return Query(named(f"{_of(metric)} / 1e6"), _LEGEND)


_USED: Final = f"({_of('gateway_held_micro_usd')} + {_of('gateway_spent_micro_usd')})"

TENANTS: Final = Board(
    "tenants",
    "tenants and money",
    "Work and money by tenant. A tenant is shown while something waits or if it has a generation of this month.",
    [
        Row(
            "Work",
            [
                Panel(
                    "Accepted",
                    "Generations accepted per minute, without idempotent replays.",
                    "cpm",
                    [Query(named(per_minute("gateway_generations_created_total", by=_BY, where=OF_TENANT)), _LEGEND)],
                ),
                Panel(
                    "Refused",
                    "Creates refused per minute: by a budget (402), or by a limit of the tenant or the end user (429).",
                    "cpm",
                    [
                        Query(
                            named(
                                per_minute("gateway_generations_refused_total", by="tenant, reason", where=OF_TENANT)
                            ),
                            "{{name}}: {{reason}}",
                        )
                    ],
                ),
                Panel(
                    "Replayed",
                    "Repeated creates per minute, answered by their idempotency key. Callers repeat mostly after a "
                    "timeout.",
                    "cpm",
                    [Query(named(per_minute("gateway_generations_replayed_total", by=_BY, where=OF_TENANT)), _LEGEND)],
                ),
                Panel(
                    "Queued",
                    "Generations that wait for dispatch.",
                    "none",
                    [_gauge("gateway_queued")],
                ),
                Panel(
                    "Oldest queued",
                    "Age of the oldest queued generation. If it grows while slots are free, the tenant is paused or at "
                    "its limit.",
                    "s",
                    [_gauge("gateway_oldest_queued_seconds")],
                    limits=Limits(600, 1800),
                ),
                Panel(
                    "Slots",
                    "Slots in use by tenant, and all slots.",
                    "none",
                    [
                        _gauge("gateway_tenant_slots_used"),
                        Query(state("gateway_slots_allowed"), "all slots"),
                    ],
                ),
                Panel(
                    "Ended",
                    "Generations ended per minute, by status and error code.",
                    "cpm",
                    [
                        Query(
                            named(
                                per_minute(
                                    "gateway_generations_finished_total", by="tenant, status, code", where=OF_TENANT
                                )
                            ),
                            "{{name}}: {{status}} {{code}}",
                        )
                    ],
                ),
            ],
        ),
        Row(
            "Requests",
            [
                Panel(
                    "Requests",
                    "Requests with an API key per minute: reads and writes, answered, refused (4xx) or failed (5xx).",
                    "reqpm",
                    [
                        Query(
                            named(
                                per_minute("gateway_tenant_requests_total", by="tenant, kind, outcome", where=OF_TENANT)
                            ),
                            "{{name}}: {{kind}} {{outcome}}",
                        )
                    ],
                    limits=Limits(3000, 6000),
                ),
                Panel(
                    "Refused creates of the last day",
                    "Creates refused by a budget or a limit: the 30 most frequent of tenant and reason.",
                    "none",
                    [
                        Query(
                            "topk(30, "
                            + named(
                                increase(
                                    "gateway_generations_refused_total", by="tenant, reason", where=OF_TENANT, over="1d"
                                )
                            )
                            + ")",
                            "creates",
                        )
                    ],
                    kind="table",
                ),
                Panel(
                    "Stopped tenants",
                    "When generations were not sent to fal: the tenant is paused, or its own submits fail.",
                    "none",
                    [
                        Query(
                            named(state("gateway_tenant_dispatch_stopped", by="tenant, cause", where=OF_TENANT)),
                            "{{name}} {{cause}}",
                        )
                    ],
                    kind="states",
                    states={0: ("sent", "green"), 1: ("stopped", "red")},
                ),
                Panel(
                    "Failed generations of the last day",
                    "Generations that failed: the 30 most frequent of tenant and error code.",
                    "none",
                    [
                        Query(
                            "topk(30, "
                            + named(
                                increase(
                                    "gateway_generations_finished_total",
                                    by="tenant, code",
                                    where=f'status="failed", {OF_TENANT}',
                                    over="1d",
                                )
                            )
                            + ")",
                            "generations",
                        )
                    ],
                    kind="table",
                ),
            ],
        ),
        Row(
            "Storage",
            [
                Panel(
                    "Bytes in Redis",
                    "Estimated bytes of generations, webhook deliveries, usage and end users, of the 200 tenants that "
                    "store most. When memory runs low, the creates of the largest are refused first (503).",
                    "bytes",
                    [Query(named(_of("gateway_tenant_stored_bytes")), _LEGEND)],
                ),
            ],
        ),
        Row(
            "Money",
            [
                Panel(
                    "Daily budget of the account used",
                    "Held and settled today (UTC), as a share of the daily budget. Empty without a budget.",
                    "percentunit",
                    [
                        Query(
                            f"({state('gateway_account_held_micro_usd')} + {state('gateway_account_spent_micro_usd')})"
                            f" / {state('gateway_account_budget_micro_usd')}",
                            "used",
                        )
                    ],
                    kind="number",
                    limits=Limits(0.8, 1),
                ),
                Panel(
                    "Who spends most",
                    "The 20 tenants with the highest settled costs of this month (UTC), what is held, and the share of "
                    "the monthly budget that is used.",
                    "currencyUSD",
                    [
                        Query(f"topk(20, {named(_of('gateway_spent_micro_usd') + ' / 1e6')})", "settled"),
                        Query(f"topk(20, {named(_of('gateway_held_micro_usd') + ' / 1e6')})", "held"),
                        Query(
                            f"topk(20, {named(f'{_USED} / ' + _of('gateway_budget_micro_usd'))})",
                            "budget used",
                            "percentunit",
                        ),
                    ],
                    kind="table",
                ),
                Panel(
                    "Monthly budget used",
                    "Held and settled in this month (UTC), as a share of the budget. Tenants without a budget are not "
                    "shown. Creates beyond the budget are refused (402).",
                    "percentunit",
                    [Query(named(f"{_USED} / {_of('gateway_budget_micro_usd')}"), _LEGEND)],
                    limits=Limits(0.8, 1),
                ),
                Panel(
                    "Settled this month",
                    "Costs that fal billed. The estimate where fal did not report billed units.",
                    "currencyUSD",
                    [_usd("gateway_spent_micro_usd")],
                ),
                Panel(
                    "Held",
                    "Highest possible cost of the generations that have not ended.",
                    "currencyUSD",
                    [_usd("gateway_held_micro_usd")],
                ),
                Panel(
                    "Spending",
                    "Settled cost per hour, at the current rate.",
                    "currencyUSD",
                    [
                        Query(
                            named(f"{rate('gateway_cost_micro_usd_total', by=_BY, where=OF_TENANT)} * 3600 / 1e6"),
                            _LEGEND,
                        )
                    ],
                ),
                Panel(
                    "Account today",
                    "Generations of all tenants of today (UTC), and the daily budget of the account if there is one.",
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
