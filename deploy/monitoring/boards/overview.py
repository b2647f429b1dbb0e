"""The board of the objectives, the incoming requests and the finished generations."""

from typing import Final

from monitoring.objectives import ACCEPT, ACCEPTED_WITHIN, COMPLETION, CREATES, WINDOWS, Objective, burn
from monitoring.panels import Board, Limits, Panel, Query, Row
from monitoring.promql import increase, or_zero, per_minute, quantile, state, total

_CALLS: Final = "gateway_http_request_seconds"


def _budget(objective: Objective, what: str) -> Panel:
    return Panel(
        f"Error budget left: {objective.name}",
        f"Objective: {objective.share:.1%} {what}, over three days. Below 0 the objective is missed.",
        "percentunit",
        [Query(f"1 - {burn(objective, '3d')}", "left")],
        kind="number",
        limits=Limits(0.5, 0, lowest=True),
    )


def _burning(objective: Objective) -> Panel:
    return Panel(
        f"Burn rate: {objective.name}",
        "Speed at which the error budget is spent, by window. 1 spends it exactly in three days. Pages: 14.4 in 1h and "
        "5m, 6 in 6h and 30m. Ticket: 1 in 3d and 6h.",
        "none",
        [Query(burn(objective, window), window) for window in WINDOWS],
        limits=Limits(1, 6),
    )


OVERVIEW: Final = Board(
    "overview",
    "overview",
    "The objectives, the incoming requests and the finished generations.",
    [
        Row(
            "Now",
            [
                _budget(ACCEPT, f"of creates without a 5xx, accepted within {ACCEPTED_WITHIN} s"),
                _budget(COMPLETION, "of generations end with a video, or by an error of the request"),
                Panel(
                    "Alerts firing",
                    "docs/runbook.md has a section for each alert.",
                    "none",
                    [Query(or_zero('count(ALERTS{alertstate="firing"})'), "firing")],
                    kind="number",
                    limits=Limits(1, 1),
                ),
                Panel(
                    "Queued",
                    "Generations of all tenants that wait for a slot.",
                    "none",
                    [Query(total("gateway_queued"), "queued")],
                    kind="number",
                ),
                Panel(
                    "Slots used",
                    "Generations that fal may be working on, as a share of all slots.",
                    "percentunit",
                    [Query(f"{state('gateway_slots_used')} / {state('gateway_slots_allowed')}", "used")],
                    kind="number",
                ),
                Panel(
                    "Unconfirmed",
                    "Submits with an unknown outcome. A few that are resolved within minutes are normal.",
                    "none",
                    [Query(state("gateway_unconfirmed"), "unconfirmed")],
                    kind="number",
                    limits=Limits(5, 20),
                ),
                Panel(
                    "Alerts",
                    "Alerts that fire or will soon, of all sources of this Grafana. Each has a section in the runbook.",
                    "none",
                    [Query(or_zero('count(ALERTS{alertstate="firing"})'), "firing")],
                    kind="alerts",
                ),
                Panel(
                    "Dispatch and Redis",
                    "When nothing was sent to fal (paused by an operator, locked by fal, failing submits, draining), "
                    "and when Redis did not answer.",
                    "none",
                    [
                        Query(state("gateway_dispatch_paused", by="cause"), "{{cause}}"),
                        Query(state("gateway_draining"), "draining"),
                        Query(f"1 - {state('gateway_redis_up')}", "Redis unavailable"),
                    ],
                    kind="states",
                    states={0: ("no", "green"), 1: ("yes", "red")},
                ),
            ],
        ),
        Row("Objectives", [_burning(ACCEPT), _burning(COMPLETION)]),
        Row(
            "Incoming requests",
            [
                Panel(
                    "Creates by status",
                    "Creates per minute, including fal clients. 5xx spend the error budget, 4xx are errors of callers.",
                    "reqpm",
                    [Query(per_minute(f"{_CALLS}_count", by="status", where=CREATES), "{{status}}")],
                ),
                Panel(
                    "Time to accept",
                    "Time from a valid create to its durable acceptance, without the wait of `Prefer: wait`.",
                    "s",
                    [Query(quantile(q, "gateway_accept_seconds"), f"p{q * 100:g}") for q in (0.5, 0.95, 0.99)],
                    limits=Limits(float(ACCEPTED_WITHIN) / 2, float(ACCEPTED_WITHIN)),
                ),
                Panel(
                    "Requests by route",
                    "Requests per minute.",
                    "reqpm",
                    [Query(per_minute(f"{_CALLS}_count", by="method, route"), "{{method}} {{route}}")],
                ),
                Panel(
                    "Request time by route (p95)",
                    "95 % of the requests take no longer. Long polls and event streams are slow by design.",
                    "s",
                    [Query(quantile(0.95, _CALLS, by="route"), "{{route}}")],
                ),
            ],
        ),
        Row(
            "Failures of the last day",
            [
                Panel(
                    "Failed generations",
                    "Generations of the last day that failed, by error code.",
                    "none",
                    [
                        Query(
                            increase(
                                "gateway_generations_finished_total", by="code", where='status="failed"', over="1d"
                            ),
                            "generations",
                        )
                    ],
                    kind="table",
                ),
                Panel(
                    "Refused and failed requests",
                    "Requests of the last day that were answered with 4xx or 5xx: the 30 most frequent of route and "
                    "status.",
                    "none",
                    [
                        Query(
                            "topk(30, "
                            + increase(
                                f"{_CALLS}_count", by="method, route, status", where='status=~"[45].."', over="1d"
                            )
                            + ")",
                            "requests",
                        )
                    ],
                    kind="table",
                ),
            ],
        ),
        Row(
            "Finished generations",
            [
                Panel(
                    "Accepted and ended",
                    "Generations per minute: accepted, and ended by status.",
                    "cpm",
                    [
                        Query(or_zero(per_minute("gateway_generations_created_total")), "accepted"),
                        Query(per_minute("gateway_generation_seconds_count", by="status"), "{{status}}"),
                    ],
                ),
                Panel(
                    "Accepted by model",
                    "Generations per minute that were accepted, by model.",
                    "cpm",
                    [Query(per_minute("gateway_generations_accepted_by_model_total", by="model"), "{{model}}")],
                ),
                Panel(
                    "Time to the video",
                    "Time from acceptance to success: in the gateway's queue, in fal's queue and at work.",
                    "s",
                    [
                        Query(quantile(q, "gateway_generation_seconds", where='status="succeeded"'), f"p{q * 100:g}")
                        for q in (0.5, 0.95)
                    ],
                ),
                Panel(
                    "Time in each status (p95)",
                    "95 % of the generations left the status within this time.",
                    "s",
                    [Query(quantile(0.95, "gateway_state_seconds", by="status"), "{{status}}")],
                ),
                Panel(
                    "Time until dispatch",
                    "Time from acceptance to the submit to fal.",
                    "s",
                    [Query(quantile(q, "gateway_dispatch_wait_seconds"), f"p{q * 100:g}") for q in (0.5, 0.95)],
                ),
            ],
        ),
    ],
)
