"""fal: what we ask, what it answers, what we do not know."""

from typing import Final

from monitoring.grafana import Board, Panel, Query, Row
from monitoring.promql import quantile, rate, state

_CALLS: Final = "gateway_upstream_calls_total"

UPSTREAM: Final = Board(
    "upstream",
    "upstream",
    "fal: what we ask, what it answers, what we do not know.",
    [
        Row(
            "Dispatch",
            [
                Panel(
                    "Dispatch held",
                    "1 while nothing is dispatched: paused by an operator, locked by fal (key or balance), or failing.",
                    "none",
                    [
                        Query(state("gateway_dispatch_paused", by="cause"), "{{cause}}"),
                        Query(state("gateway_draining"), "draining"),
                        Query(state("gateway_tenants_paused"), "paused tenants"),
                        Query(state("gateway_tenants_submits_failing"), "held tenants"),
                    ],
                ),
                Panel(
                    "Submits that fail",
                    "Generations whose submit failed since the last accepted one, and submits that may be under way.",
                    "none",
                    [
                        Query(state("gateway_generations_submit_failing"), "failed generations"),
                        Query(state("gateway_submit_window"), "at once"),
                    ],
                ),
                Panel(
                    "Slots",
                    "Generations at fal, and how many it may have of us at a time.",
                    "none",
                    [
                        Query(state("gateway_slots_used"), "used"),
                        Query(state("gateway_slots_allowed"), "allowed"),
                    ],
                ),
                Panel(
                    "Unconfirmed submits",
                    "fal may have them; each keeps its hold until it is known, and its slot for some minutes.",
                    "none",
                    [Query(state("gateway_unconfirmed"), "unconfirmed")],
                ),
                Panel(
                    "Age of the oldest unconfirmed",
                    "Past GATEWAY_UNCONFIRMED_DEADLINE it fails.",
                    "s",
                    [Query(state("gateway_unconfirmed_seconds"), "oldest")],
                ),
                Panel(
                    "Paid and lost",
                    "Given up, but fal reported a video: an operator can revive them.",
                    "none",
                    [Query(state("gateway_paid_and_lost"), "videos")],
                ),
            ],
        ),
        Row(
            "Calls",
            [
                Panel(
                    "Submits by outcome",
                    "The paid call. 200 is taken; 429 and 503 are proved not to be; other answers, and none, may be.",
                    "reqps",
                    [Query(rate(_CALLS, by="outcome", where='operation="submit"'), "{{outcome}}")],
                ),
                Panel(
                    "Other calls by outcome",
                    "Status, result, cancel, billing. Trouble here fails no generation.",
                    "reqps",
                    [
                        Query(
                            rate(_CALLS, by="operation, outcome", where='operation!="submit"'),
                            "{{operation}} {{outcome}}",
                        )
                    ],
                ),
                Panel(
                    "Latency by operation",
                    "95 % of calls are answered within this time.",
                    "s",
                    [Query(quantile(0.95, "gateway_upstream_seconds", by="operation"), "{{operation}}")],
                ),
                Panel(
                    "Callbacks from fal",
                    "By what became of them; `unknown` and `unreadable` are nobody's of ours.",
                    "ops",
                    [Query(rate("gateway_callbacks_total", by="outcome"), "{{outcome}}")],
                ),
                Panel(
                    "Polls begun late",
                    "How long after its time a poll was begun; 95 % are within this.",
                    "s",
                    [Query(quantile(0.95, "gateway_poll_delay_seconds"), "p95")],
                ),
                Panel(
                    "Reconciliation",
                    "Unconfirmed submits by what fal's bill said of them.",
                    "ops",
                    [Query(rate("gateway_reconciliations_total", by="outcome"), "{{outcome}}")],
                ),
                Panel(
                    "Ends by outcome",
                    "Generations ended per second. `bad` spends the error budget of completion.",
                    "ops",
                    [Query(rate("gateway_completions_total", by="outcome"), "{{outcome}}")],
                ),
                Panel(
                    "Holds by fal's answers",
                    "Times that fal's answers held dispatch, in an hour.",
                    "none",
                    [Query("sum by (cause) (increase(gateway_dispatch_pauses_total[1h]))", "{{cause}}")],
                ),
            ],
        ),
    ],
)
