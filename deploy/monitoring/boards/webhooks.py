"""Do tenants hear of their generations?"""

from typing import Final

from monitoring.grafana import Board, Panel, Query, Row
from monitoring.promql import OF_TENANT, or_zero, quantile, rate, state

_LEGEND: Final = "{{tenant}}"


def _in_a_day(metric: str) -> str:
    return f"sum (increase({metric}{{{OF_TENANT}}}[1d]))"


WEBHOOKS: Final = Board(
    "webhooks",
    "webhooks",
    "Do tenants hear of their generations?",
    [
        Row(
            "Attempts",
            [
                Panel(
                    "Attempts by outcome",
                    "Per second: delivered, failed and to be tried again, dead after the last one.",
                    "ops",
                    [Query(rate("gateway_webhook_attempts_total", by="outcome"), "{{outcome}}")],
                ),
                Panel(
                    "Time of an attempt",
                    "Receivers have 15 seconds in total.",
                    "s",
                    [Query(quantile(q, "gateway_webhook_seconds"), f"p{q * 100:g}") for q in (0.5, 0.95, 0.99)],
                ),
            ],
        ),
        Row(
            "Undelivered",
            [
                Panel(
                    "Pending",
                    "Deliveries that are not done: due, or waiting for their next attempt.",
                    "none",
                    [Query(state("gateway_webhooks_pending", by="tenant", where=OF_TENANT), _LEGEND)],
                ),
                Panel(
                    "Backlog",
                    "Of these, due now and not under way: their receiver is slow or only fails, or workers are short.",
                    "none",
                    [Query(state("gateway_webhook_backlog", by="tenant", where=OF_TENANT), _LEGEND)],
                ),
                Panel(
                    "Dead letters",
                    "Given up after all attempts; the tenant can replay them.",
                    "none",
                    [Query(state("gateway_webhook_dead_letters", by="tenant", where=OF_TENANT), _LEGEND)],
                ),
                Panel(
                    "Oldest receiver due",
                    "How long the receiver that waits longest has been due; seconds while workers keep up.",
                    "s",
                    [Query(state("gateway_overdue_seconds", where='work_queue="deliver"'), "oldest")],
                ),
            ],
        ),
        Row(
            "Endpoints",
            [
                Panel(
                    "Died",
                    "Deliveries that came to the dead letter in an hour, after all attempts or by a disabled endpoint.",
                    "none",
                    [
                        Query(
                            or_zero(
                                f"sum by (tenant) (increase(gateway_webhooks_dead_lettered_total{{{OF_TENANT}}}[1h]))"
                            ),
                            _LEGEND,
                        )
                    ],
                ),
                Panel(
                    "Endpoints warned of and disabled",
                    "In a day: warnings of endpoints that only fail, and endpoints disabled by that or by a 410.",
                    "none",
                    [
                        Query(or_zero(_in_a_day("gateway_webhook_endpoint_warnings_total")), "warned"),
                        Query(or_zero(_in_a_day("gateway_webhook_endpoints_disabled_total")), "disabled"),
                    ],
                ),
                Panel(
                    "Replayed",
                    "Deliveries sent again at their tenant's wish, per second.",
                    "ops",
                    [Query(or_zero(rate("gateway_webhooks_replayed_total", where=OF_TENANT)), "replayed")],
                ),
            ],
        ),
    ],
    tenants=True,
)
