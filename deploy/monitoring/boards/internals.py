"""Redis, drains, messages, processes: for whoever looks for the cause."""

from typing import Final

from monitoring.grafana import Board, Panel, Query, Row
from monitoring.promql import or_zero, quantile, rate, state

_BATCH: Final = "gateway_redis_batch_commands"


def _by_outcome(metric: str) -> Query:
    return Query(or_zero(rate(metric, by="outcome")), "{{outcome}}")


INTERNALS: Final = Board(
    "internals",
    "internals",
    "Redis, drains, messages, processes: for whoever looks for the cause.",
    [
        Row(
            "Drains",
            [
                Panel(
                    "Lag",
                    "How long the oldest entry of a due set has been due. `dispatch` is the queue itself and may be "
                    "long; the others are seconds while workers keep up.",
                    "s",
                    [Query(state("gateway_overdue_seconds", by="work_queue"), "{{work_queue}}")],
                ),
                Panel(
                    "Entries",
                    "In each due set, waiting or under way; of `deliver` receivers, of the others generations.",
                    "none",
                    [Query(state("gateway_due_entries", by="work_queue"), "{{work_queue}}")],
                ),
                Panel(
                    "Claimed",
                    "Items taken from each due set per second.",
                    "ops",
                    [Query(rate("gateway_work_items_claimed_total", by="work_queue"), "{{work_queue}}")],
                ),
                Panel(
                    "Failures and lost races",
                    "Items whose work raised (a lease brings them back); moves that another process made first.",
                    "ops",
                    [
                        Query(rate("gateway_work_items_failed_total", by="work_queue"), "{{work_queue}} failed"),
                        Query(rate("gateway_transition_conflicts_total", by="transition"), "lost race: {{transition}}"),
                    ],
                ),
            ],
        ),
        Row(
            "Messages and processes",
            [
                Panel(
                    "Nudges",
                    "Messages that have a worker claim now. `failed`: the broker is unavailable; workers claim within "
                    "a second all the same.",
                    "ops",
                    [Query(rate("gateway_nudges_total", by="outcome"), "{{outcome}}")],
                ),
                Panel(
                    "Beat",
                    "Since beat last said that it runs; about a second while all is well.",
                    "s",
                    [Query(state("gateway_beat_age_seconds"), "silence")],
                ),
                Panel(
                    "Clock skew",
                    "Of each machine, ahead of Redis' clock; beyond 2 s either way its processes claim nothing.",
                    "s",
                    [Query("max by (job, instance) (gateway_clock_skew_seconds)", "{{job}} {{instance}}")],
                ),
                Panel(
                    "Workers",
                    "Heard of within 15 seconds, by the queue they serve.",
                    "none",
                    [Query(state("gateway_workers", by="queue"), "{{queue}}")],
                ),
                Panel(
                    "Releases",
                    "Processes by the release they run; two while a deployment rolls.",
                    "none",
                    [
                        Query(
                            "count by (version, commit, python) (gateway_build_info)",
                            "{{version}} ({{commit}}) on Python {{python}}",
                        )
                    ],
                ),
                Panel(
                    "CPU by process",
                    "Cores that it keeps busy.",
                    "none",
                    [Query("rate(process_cpu_seconds_total[$__rate_interval])", "{{job}} {{instance}}")],
                ),
                Panel(
                    "Memory by process",
                    "Resident memory of each process.",
                    "bytes",
                    [Query("process_resident_memory_bytes", "{{job}} {{instance}}")],
                ),
            ],
        ),
        Row(
            "Callers",
            [
                Panel(
                    "Held calls",
                    "Event streams open and calls waiting at the gateways, and how many streams ended in an hour.",
                    "none",
                    [
                        Query("sum (gateway_event_streams)", "streams"),
                        Query("sum (gateway_waiting_calls)", "waiting calls"),
                        Query(
                            or_zero("sum by (reason) (increase(gateway_event_streams_ended_total[1h]))"), "{{reason}}"
                        ),
                    ],
                ),
                Panel(
                    "Answers lost and given again",
                    "Submits of fal's clients per second whose caller was gone, and those that came again for it.",
                    "ops",
                    [
                        Query(or_zero(rate("gateway_responses_lost_total")), "lost"),
                        Query(or_zero(rate("gateway_submits_resent_total")), "given again"),
                    ],
                ),
            ],
        ),
        Row(
            "Media",
            [
                Panel(
                    "Images in",
                    "Images sent to the gateway per second: taken, or why not.",
                    "ops",
                    [_by_outcome("gateway_images_total")],
                ),
                Panel(
                    "Preflights",
                    "Looks at images per second before their paid submit; what cannot be fetched is not submitted.",
                    "ops",
                    [_by_outcome("gateway_preflights_total")],
                ),
                Panel(
                    "Videos kept",
                    "Copies per second: kept, tries that failed, and those passed on with fal's own URL.",
                    "ops",
                    [_by_outcome("gateway_videos_total")],
                ),
            ],
        ),
        Row(
            "Redis",
            [
                Panel(
                    "Latency",
                    "Of one exchange, all commands that leave together; `appendfsync always` waits for the disk.",
                    "s",
                    [Query(quantile(q, "gateway_redis_seconds"), f"p{q * 100:g}") for q in (0.5, 0.99)],
                ),
                Panel(
                    "Memory",
                    "Used; from which memory on creates are refused; and the limit (maxmemory, else the setting, else "
                    "the memory of its machine).",
                    "bytes",
                    [
                        Query(state("gateway_redis_memory_bytes"), "used"),
                        Query(state("gateway_redis_create_limit_bytes"), "creates refused"),
                        Query(state("gateway_redis_memory_limit_bytes"), "limit"),
                    ],
                ),
                Panel(
                    "Durability",
                    "2: every write is on disk before it is answered; 1: within a second; 0: not kept, or too few "
                    "replicas.",
                    "none",
                    [Query(state("gateway_redis_durable"), "durable"), Query(state("gateway_redis_up"), "up")],
                ),
                Panel(
                    "Commands sent together",
                    "On average per exchange: grows with the load.",
                    "none",
                    [Query(f"{rate(f'{_BATCH}_sum')} / {rate(f'{_BATCH}_count')}", "commands")],
                ),
                Panel(
                    "Reading these gauges",
                    "Time of one read of everybody's state; Redis does nothing else for most of it.",
                    "s",
                    [Query(state("gateway_state_read_seconds"), "read")],
                ),
                Panel(
                    "Rate limiter away",
                    "Calls let through per second because it could not be asked.",
                    "ops",
                    [Query(or_zero(rate("gateway_rate_limiter_unavailable_total")), "let through")],
                ),
            ],
        ),
    ],
)
