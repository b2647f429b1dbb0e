"""Is it well? The objectives, what comes in, what goes out."""

from typing import Final

from monitoring.grafana import Board, Panel, Query, Row
from monitoring.objectives import ACCEPT, ACCEPTED_WITHIN, COMPLETION, CREATES, WINDOWS, Objective, burn
from monitoring.promql import or_zero, quantile, rate, state, total

_CALLS: Final = "gateway_http_request_seconds"


def _budget(objective: Objective, what: str) -> Panel:
    return Panel(
        f"Error budget left: {objective.name}",
        f"Of {objective.share:.1%} {what}, over the last three days. Below 0 the objective was missed.",
        "percentunit",
        [Query(f"1 - {burn(objective, '3d')}")],
        single=True,
        width=4,
    )


def _burning(objective: Objective) -> Panel:
    return Panel(
        f"Burn rate: {objective.name}",
        "How many times faster than allowed the error budget is spent, by window. 1 spends it exactly; pages at 14.4 "
        "(1h and 5m) and 6 (6h and 30m), a ticket at 1 (3d and 6h).",
        "none",
        [Query(burn(objective, window), window) for window in WINDOWS],
    )


OVERVIEW: Final = Board(
    "overview",
    "overview",
    "Is it well? The objectives, what comes in, what goes out.",
    [
        Row(
            "Now",
            [
                _budget(ACCEPT, f"of creates answered without a 5xx and accepted within {ACCEPTED_WITHIN} s"),
                _budget(COMPLETION, "of generations ended with a video, or by a fault of the request itself"),
                Panel(
                    "Alerts firing",
                    "Each has a section in the runbook, docs/runbook.md.",
                    "none",
                    [Query(or_zero('count(ALERTS{alertstate="firing"})'))],
                    single=True,
                    width=4,
                ),
                Panel(
                    "Queued",
                    "Generations of all tenants that wait for an upstream slot.",
                    "none",
                    [Query(total("gateway_queued"))],
                    single=True,
                    width=4,
                ),
                Panel(
                    "Slots used",
                    "Generations at fal, of those it may have of us at a time.",
                    "percentunit",
                    [Query(f"{state('gateway_slots_used')} / {state('gateway_slots_allowed')}")],
                    single=True,
                    width=4,
                ),
                Panel(
                    "Unconfirmed",
                    "Submits of unknown outcome. A few that go within minutes are ordinary.",
                    "none",
                    [Query(state("gateway_unconfirmed"))],
                    single=True,
                    width=4,
                ),
            ],
        ),
        Row("Objectives", [_burning(ACCEPT), _burning(COMPLETION)]),
        Row(
            "In",
            [
                Panel(
                    "Creates by status",
                    "Creates per second, fal's clients' among them. 5xx spend the error budget, 4xx are the callers'.",
                    "reqps",
                    [Query(rate(f"{_CALLS}_count", by="status", where=CREATES), "{{status}}")],
                ),
                Panel(
                    "Time to accept",
                    "From a valid create to its durable acceptance, waits for `Prefer: wait` not counted.",
                    "s",
                    [Query(quantile(q, "gateway_accept_seconds"), f"p{q * 100:g}") for q in (0.5, 0.95, 0.99)],
                ),
                Panel(
                    "Calls by route",
                    "Every route, per second.",
                    "reqps",
                    [Query(rate(f"{_CALLS}_count", by="method, route"), "{{method}} {{route}}")],
                ),
                Panel(
                    "Slow calls by route",
                    "95 % of calls are answered within this time; routes that wait on request are slow by wish.",
                    "s",
                    [Query(quantile(0.95, _CALLS, by="route"), "{{route}}")],
                ),
            ],
        ),
        Row(
            "Out",
            [
                Panel(
                    "Accepted and ended",
                    "Generations per second: what is accepted and does not end, waits.",
                    "ops",
                    [
                        Query(or_zero(rate("gateway_generations_created_total")), "accepted"),
                        Query(rate("gateway_generation_seconds_count", by="status"), "{{status}}"),
                    ],
                ),
                Panel(
                    "Time to the video",
                    "From accepted to succeeded: our queue, fal's queue and fal's work.",
                    "s",
                    [
                        Query(quantile(q, "gateway_generation_seconds", where='status="succeeded"'), f"p{q * 100:g}")
                        for q in (0.5, 0.95)
                    ],
                ),
                Panel(
                    "Time in each state",
                    "Of those that left the state; 95 % left it within this time.",
                    "s",
                    [Query(quantile(0.95, "gateway_state_seconds", by="status"), "{{status}}")],
                ),
                Panel(
                    "Dispatch wait",
                    "From accepted to sent to fal.",
                    "s",
                    [Query(quantile(q, "gateway_dispatch_wait_seconds"), f"p{q * 100:g}") for q in (0.5, 0.95)],
                ),
            ],
        ),
    ],
)
