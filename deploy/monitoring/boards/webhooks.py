"""The board of webhook deliveries and endpoints."""

from typing import Final

from monitoring.panels import Board, Limits, Panel, Query, Row
from monitoring.promql import OF_TENANT, increase, named, or_zero, per_minute, quantile, state

_LEGEND: Final = "{{name}}"


def _in_a_day(metric: str) -> str:
    return or_zero(increase(metric, where=OF_TENANT, over="1d"))


def _by_tenant(metric: str) -> list[Query]:
    return [Query(named(state(metric, by="tenant", where=OF_TENANT)), _LEGEND)]


def _column(metric: str, heading: str, unit: str = "") -> Query:
    return Query(f"topk(20, {named(state(metric, by='tenant', where=OF_TENANT))})", heading, unit)


WEBHOOKS: Final = Board(
    "webhooks",
    "webhooks",
    "Webhook deliveries and endpoints.",
    [
        Row(
            "Attempts",
            [
                Panel(
                    "Attempts by outcome",
                    "Attempts per minute: delivered, failed and to be repeated, dead after the last attempt.",
                    "opm",
                    [Query(per_minute("gateway_webhook_attempts_total", by="outcome"), "{{outcome}}")],
                ),
                Panel(
                    "Attempts under way",
                    "At half of `GATEWAY_WEBHOOK_CONCURRENCY` times the workers, unproven receivers (new, failing or "
                    "slow) wait for each other; proven receivers do not wait for them.",
                    "none",
                    [Query("sum by (receiver) (gateway_webhook_attempts_open)", "{{receiver}}")],
                ),
                Panel(
                    "Duration of an attempt",
                    "A receiver has 15 seconds in all.",
                    "s",
                    [Query(quantile(q, "gateway_webhook_seconds"), f"p{q * 100:g}") for q in (0.5, 0.95, 0.99)],
                    limits=Limits(5, 15),
                ),
            ],
        ),
        Row(
            "Undelivered",
            [
                Panel(
                    "Pending",
                    "Deliveries that are due or wait for their next attempt.",
                    "none",
                    _by_tenant("gateway_webhooks_pending"),
                ),
                Panel(
                    "Backlog",
                    "Deliveries that are due now and not in progress: the receiver is slow or fails, or workers are "
                    "missing.",
                    "none",
                    _by_tenant("gateway_webhook_backlog"),
                    limits=Limits(500, 1000),
                ),
                Panel(
                    "Dead letters",
                    "Deliveries whose attempts are used up. The tenant can replay them.",
                    "none",
                    _by_tenant("gateway_webhook_dead_letters"),
                    limits=Limits(1, 100),
                ),
                Panel(
                    "Lateness of deliveries",
                    "Time since the oldest entry became due: a few seconds while there are enough workers.",
                    "s",
                    [Query(state("gateway_overdue_seconds", where='work_queue="deliver"'), "oldest")],
                    limits=Limits(30, 60),
                ),
            ],
        ),
        Row(
            "Endpoints",
            [
                Panel(
                    "Receivers that fail",
                    "The 20 tenants with a receiver that fails for longest: time without a successful attempt, "
                    "deliveries that are due, and dead letters.",
                    "none",
                    [
                        _column("gateway_webhook_failing_seconds", "failing for", "s"),
                        _column("gateway_webhook_backlog", "due"),
                        _column("gateway_webhook_dead_letters", "dead letters"),
                    ],
                    kind="table",
                ),
                Panel(
                    "Failing receivers",
                    "Time for which all attempts to one receiver of the tenant have failed.",
                    "s",
                    _by_tenant("gateway_webhook_failing_seconds"),
                    limits=Limits(600, 3600),
                ),
                Panel(
                    "Moved to the dead letter",
                    "Deliveries in the last hour whose attempts were used up or whose endpoint was disabled.",
                    "none",
                    [
                        Query(
                            named(
                                increase(
                                    "gateway_webhooks_dead_lettered_total", by="tenant", where=OF_TENANT, over="1h"
                                )
                            ),
                            _LEGEND,
                        )
                    ],
                ),
                Panel(
                    "Failing and disabled endpoints",
                    "In the last day: warnings about endpoints whose deliveries all fail, and endpoints disabled by "
                    "that or by a 410.",
                    "none",
                    [
                        Query(_in_a_day("gateway_webhook_endpoint_warnings_total"), "warnings"),
                        Query(_in_a_day("gateway_webhook_endpoints_disabled_total"), "disabled"),
                    ],
                ),
                Panel(
                    "Replayed",
                    "Deliveries replayed in the last hour.",
                    "none",
                    [
                        Query(
                            or_zero(increase("gateway_webhooks_replayed_total", where=OF_TENANT, over="1h")), "replayed"
                        )
                    ],
                ),
            ],
        ),
    ],
    tenants=True,
)
