"""The board of dispatch and of the requests to fal."""

from typing import Final

from monitoring.panels import Board, Limits, Panel, Query, Row
from monitoring.promql import increase, per_minute, quantile, state

_CALLS: Final = "gateway_upstream_calls_total"

UPSTREAM: Final = Board(
    "upstream",
    "upstream",
    "Dispatch, and the requests to fal.",
    [
        Row(
            "Dispatch",
            [
                Panel(
                    "Dispatch pauses",
                    "When nothing was dispatched: paused by an operator, locked by fal (key, balance), failing "
                    "submits, or draining.",
                    "none",
                    [
                        Query(state("gateway_dispatch_paused", by="cause"), "{{cause}}"),
                        Query(state("gateway_draining"), "draining"),
                    ],
                    kind="states",
                    states={0: ("no", "green"), 1: ("yes", "red")},
                ),
                Panel(
                    "Tenants without dispatch",
                    "Tenants that an operator has paused, and tenants whose own submits fail.",
                    "none",
                    [
                        Query(state("gateway_tenants_paused"), "paused"),
                        Query(state("gateway_tenants_submits_failing"), "submits failing"),
                    ],
                    limits=Limits(1, 1),
                ),
                Panel(
                    "Failing submits",
                    "Generations whose submit failed since the last accepted one, and submits that may be in "
                    "progress at once.",
                    "none",
                    [
                        Query(state("gateway_generations_submit_failing"), "failed generations"),
                        Query(state("gateway_submit_window"), "submit window"),
                    ],
                ),
                Panel(
                    "Slots",
                    "Slots in use, and all slots.",
                    "none",
                    [
                        Query(state("gateway_slots_used"), "used"),
                        Query(state("gateway_slots_allowed"), "all slots"),
                    ],
                ),
                Panel(
                    "Unconfirmed submits",
                    "fal may have accepted them. Each keeps its hold until it is resolved, and its slot for some "
                    "minutes.",
                    "none",
                    [Query(state("gateway_unconfirmed"), "unconfirmed")],
                    limits=Limits(5, 20),
                ),
                Panel(
                    "Age of the oldest unconfirmed",
                    "An unconfirmed submit fails at GATEWAY_UNCONFIRMED_DEADLINE.",
                    "s",
                    [Query(state("gateway_unconfirmed_seconds"), "oldest")],
                    limits=Limits(300, 600),
                ),
                Panel(
                    "Price changed",
                    "When fal had billed other units than expected for the last 5 successes of a resolution.",
                    "none",
                    [Query(state("gateway_price_changed", by="resolution"), "{{resolution}}")],
                    kind="states",
                    states={0: ("as expected", "green"), 1: ("other units", "red")},
                ),
                Panel(
                    "Paid and lost",
                    "Generations given up although fal reported or may have billed their video. An operator can "
                    "revive them.",
                    "none",
                    [Query(state("gateway_paid_and_lost"), "videos")],
                    limits=Limits(1, 1),
                ),
            ],
        ),
        Row(
            "Requests",
            [
                Panel(
                    "Submits by outcome",
                    "The paid request, per minute. 200: accepted. 429 and 503: certainly not accepted. Other "
                    "responses, and none: unknown.",
                    "reqpm",
                    [Query(per_minute(_CALLS, by="outcome", where='operation="submit"'), "{{outcome}}")],
                ),
                Panel(
                    "Other requests by outcome",
                    "Status, result, cancel and billing per minute. Errors here fail no generation.",
                    "reqpm",
                    [
                        Query(
                            per_minute(_CALLS, by="operation, outcome", where='operation!="submit"'),
                            "{{operation}} {{outcome}}",
                        )
                    ],
                ),
                Panel(
                    "Latency by operation (p95)",
                    "95 % of the requests are answered within this time.",
                    "s",
                    [Query(quantile(0.95, "gateway_upstream_seconds", by="operation"), "{{operation}}")],
                ),
                Panel(
                    "Callbacks from fal",
                    "Per minute, by what the gateway did with them. `unknown` and `unreadable` belong to no "
                    "generation.",
                    "opm",
                    [Query(per_minute("gateway_callbacks_total", by="outcome"), "{{outcome}}")],
                ),
                Panel(
                    "Poll delay (p95)",
                    "Time between the due time of a poll and its start.",
                    "s",
                    [Query(quantile(0.95, "gateway_poll_delay_seconds"), "p95")],
                    limits=Limits(5, 60),
                ),
                Panel(
                    "Reconciliation",
                    "Unconfirmed submits in the last hour, by what fal's billing events showed.",
                    "none",
                    [Query(increase("gateway_reconciliations_total", by="outcome", over="1h"), "{{outcome}}")],
                ),
                Panel(
                    "Ends by outcome",
                    "Generations ended per minute. `bad` spends the error budget of completion.",
                    "cpm",
                    [Query(per_minute("gateway_completions_total", by="outcome"), "{{outcome}}")],
                ),
                Panel(
                    "Failed requests",
                    "Requests to fal of the last day by operation and outcome, the most frequent first. Outcomes other "
                    "than 200 and 202 are failures.",
                    "none",
                    [Query(f"topk(30, {increase(_CALLS, by='operation, outcome', over='1d')})", "requests")],
                    kind="table",
                ),
                Panel(
                    "Pauses caused by fal",
                    "Pauses of dispatch in the last hour that fal's responses caused.",
                    "none",
                    [Query(increase("gateway_dispatch_pauses_total", by="cause", over="1h"), "{{cause}}")],
                ),
            ],
        ),
    ],
)
