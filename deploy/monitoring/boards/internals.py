"""The board of the work queues, the processes, the media and Redis."""

from typing import Final

from monitoring.panels import Board, Limits, Panel, Query, Row
from monitoring.promql import increase, or_zero, per_minute, quantile, rate, state

_BATCH: Final = "gateway_redis_batch_commands"


def _by_outcome(metric: str) -> Query:
    return Query(per_minute(metric, by="outcome"), "{{outcome}}")


INTERNALS: Final = Board(
    "internals",
    "internals",
    "Work queues, processes, media and Redis, to find the cause of a problem.",
    [
        Row(
            "Work queues",
            [
                Panel(
                    "Lateness",
                    "Time since the oldest entry became due. `dispatch` is the queued generations and may be late; "
                    "the others are seconds late while there are enough workers.",
                    "s",
                    [Query(state("gateway_overdue_seconds", by="work_queue"), "{{work_queue}}")],
                ),
                Panel(
                    "Entries",
                    "Entries waiting or in progress. An entry of `deliver` is a tenant with deliveries to proven "
                    "receivers, of the others a generation.",
                    "none",
                    [Query(state("gateway_due_entries", by="work_queue"), "{{work_queue}}")],
                ),
                Panel(
                    "Claimed",
                    "Entries claimed per minute.",
                    "opm",
                    [Query(per_minute("gateway_work_items_claimed_total", by="work_queue"), "{{work_queue}}")],
                ),
                Panel(
                    "Failures and conflicts",
                    "Per minute: entries whose processing raised an exception (due again after their lease), and "
                    "transitions rejected because another process changed the record first.",
                    "cpm",
                    [
                        Query(per_minute("gateway_work_items_failed_total", by="work_queue"), "failed: {{work_queue}}"),
                        Query(
                            per_minute("gateway_transition_conflicts_total", by="transition"),
                            "conflict: {{transition}}",
                        ),
                    ],
                ),
            ],
        ),
        Row(
            "Operators",
            [
                Panel(
                    "Acts",
                    "Entries of the audit trail per minute, by kind of actor and outcome. `break_glass` is the admin "
                    "token.",
                    "opm",
                    [Query(per_minute("gateway_acts_total", by="actor, outcome"), "{{actor}}: {{outcome}}")],
                ),
                Panel(
                    "Refused calls of operators",
                    "In 15 minutes: calls and logins with a token that is not valid, and calls that the role of the "
                    "operator does not allow.",
                    "none",
                    [
                        Query(increase("gateway_operator_logins_refused_total", over="15m"), "token"),
                        Query(
                            increase("gateway_acts_total", where='outcome="refused", actor="operator"', over="15m"),
                            "role",
                        ),
                    ],
                    limits=Limits(20, 20),
                ),
                Panel(
                    "Refused logins and changes",
                    "In 15 minutes: logins to the console by way, and changes of tenants beyond their shares of the "
                    "audit trail.",
                    "none",
                    [
                        Query(increase("gateway_console_logins_refused_total", by="way", over="15m"), "login: {{way}}"),
                        Query(increase("gateway_acts_refused_total", by="limit", over="15m"), "share: {{limit}}"),
                    ],
                    limits=Limits(20, 20),
                ),
                Panel(
                    "Failed fetches of public keys",
                    "In 15 minutes: keys of issuers that tenants trust, and of the provider of OpenID Connect.",
                    "none",
                    [Query(increase("gateway_key_sets_unavailable_total", by="of", over="15m"), "{{of}}")],
                    limits=Limits(5, 5),
                ),
                Panel(
                    "Breaks of the audit trail",
                    "Places where the hash chain of the audit trail is broken. `audit --trail` lists them.",
                    "none",
                    [Query(state("gateway_trail_breaks"), "breaks")],
                    limits=Limits(1, 1),
                ),
            ],
        ),
        Row(
            "Hints and processes",
            [
                Panel(
                    "Hints",
                    "Hints to consumers per minute. `failed`: the broker is unavailable; workers claim once a second "
                    "without hints. `local`: the consumer runs in the same process.",
                    "opm",
                    [Query(per_minute("gateway_nudges_total", by="outcome"), "{{outcome}}")],
                ),
                Panel(
                    "Beat",
                    "Time since the last heartbeat of beat; normally about a second.",
                    "s",
                    [Query(state("gateway_beat_age_seconds"), "age")],
                    limits=Limits(10, 30),
                ),
                Panel(
                    "Clock skew",
                    "Clock of each machine minus the clock of Redis. Beyond 2 s in either direction its processes "
                    "claim no work.",
                    "s",
                    [Query("max by (job, instance) (gateway_clock_skew_seconds)", "{{job}} {{instance}}")],
                    limits=Limits(1, 2),
                ),
                Panel(
                    "Workers",
                    "Workers with a heartbeat in the last 15 seconds, by the Celery queue they serve.",
                    "none",
                    [Query(state("gateway_workers", by="queue"), "{{queue}}")],
                    limits=Limits(1, 1, lowest=True),
                ),
                Panel(
                    "Releases",
                    "Processes by release. Two releases during a rolling deployment.",
                    "none",
                    [Query("count by (version, commit, python) (gateway_build_info)", "processes")],
                    kind="table",
                ),
                Panel(
                    "CPU by process",
                    "Used cores of each process; of the gateways of one `serve --workers`, their sum.",
                    "none",
                    [
                        Query(
                            "sum by (job, instance) (rate(process_cpu_seconds_total[$__rate_interval]))",
                            "{{job}} {{instance}}",
                        )
                    ],
                ),
                Panel(
                    "Memory by process",
                    "Resident memory of each process; of the gateways of one `serve --workers`, their sum.",
                    "bytes",
                    [Query("sum by (job, instance) (process_resident_memory_bytes)", "{{job}} {{instance}}")],
                ),
            ],
        ),
        Row(
            "Open requests",
            [
                Panel(
                    "Event streams, long polls and videos",
                    "Open at all gateways.",
                    "none",
                    [
                        Query("sum (gateway_event_streams)", "event streams"),
                        Query("sum (gateway_waiting_calls)", "long polls"),
                        Query("sum (gateway_video_downloads)", "videos"),
                    ],
                ),
                Panel(
                    "Bytes in progress",
                    "Bytes of bodies and uploads that all gateways hold in memory and on disk.",
                    "bytes",
                    [Query("sum by (where) (gateway_bytes_in_progress)", "{{where}}")],
                ),
                Panel(
                    "Ended event streams and videos",
                    "Event streams that ended in the last hour, by reason, and videos whose client did not read.",
                    "none",
                    [
                        Query(increase("gateway_event_streams_ended_total", by="reason", over="1h"), "{{reason}}"),
                        Query(increase("gateway_video_downloads_stopped_total", over="1h"), "videos not read"),
                    ],
                ),
                Panel(
                    "Lost responses and resends",
                    "Submits of fal clients per minute: disconnected before the response, and resends.",
                    "cpm",
                    [
                        Query(or_zero(per_minute("gateway_responses_lost_total")), "lost responses"),
                        Query(or_zero(per_minute("gateway_submits_resent_total")), "resends"),
                    ],
                ),
            ],
        ),
        Row(
            "Media",
            [
                Panel(
                    "Uploaded images",
                    "Images sent to the gateway per minute: accepted, or the error code of the refusal.",
                    "cpm",
                    [_by_outcome("gateway_images_total")],
                ),
                Panel(
                    "Uploaded videos and audio files",
                    "Video and audio files sent to the gateway per minute: accepted, or the error code of the refusal.",
                    "cpm",
                    [_by_outcome("gateway_clips_total")],
                ),
                Panel(
                    "Preflights",
                    "Probes of image URLs per minute before the paid submit. A generation whose image cannot be "
                    "fetched is not submitted.",
                    "cpm",
                    [_by_outcome("gateway_preflights_total")],
                ),
                Panel(
                    "Video copies",
                    "Per minute: stored copies, failed attempts, and results that link to fal's URL instead.",
                    "cpm",
                    [_by_outcome("gateway_videos_total")],
                ),
            ],
        ),
        Row(
            "Redis",
            [
                Panel(
                    "Latency",
                    "Duration of a round trip with all commands of its batch. `appendfsync always` waits for the disk.",
                    "s",
                    [Query(quantile(q, "gateway_redis_seconds"), f"p{q * 100:g}") for q in (0.5, 0.99)],
                    limits=Limits(0.025, 0.1),
                ),
                Panel(
                    "Memory",
                    "Memory in use, the amount at which creates are refused, and the limit (maxmemory, else the "
                    "setting, else the memory of the machine).",
                    "bytes",
                    [
                        Query(state("gateway_redis_memory_bytes"), "used"),
                        Query(state("gateway_redis_create_limit_bytes"), "creates refused"),
                        Query(state("gateway_redis_memory_limit_bytes"), "limit"),
                    ],
                ),
                Panel(
                    "Durability",
                    "Whether Redis writes to disk before it answers, within a second, or may lose writes (also when "
                    "replicas are missing).",
                    "none",
                    [Query(state("gateway_redis_durable"), "Redis")],
                    kind="states",
                    states={2: ("before the answer", "green"), 1: ("a second", "orange"), 0: ("may be lost", "red")},
                ),
                Panel(
                    "Memory until creates are refused",
                    "Memory in use as a share of the amount at which creates are refused.",
                    "percentunit",
                    [
                        Query(
                            f"{state('gateway_redis_memory_bytes')} / {state('gateway_redis_create_limit_bytes')}",
                            "used",
                        )
                    ],
                    kind="number",
                    limits=Limits(0.8, 0.9),
                ),
                Panel(
                    "Batch size",
                    "Commands per round trip, on average. It grows with the load.",
                    "none",
                    [Query(f"{rate(f'{_BATCH}_sum')} / {rate(f'{_BATCH}_count')}", "commands")],
                ),
                Panel(
                    "Read of the state gauges",
                    "Duration of one read of the state of all tenants. Redis executes no other command for most of it.",
                    "s",
                    [Query(state("gateway_state_read_seconds"), "read")],
                ),
                Panel(
                    "Rate limiter unavailable",
                    "Requests per minute accepted without a rate limit because Redis did not answer.",
                    "cpm",
                    [Query(or_zero(per_minute("gateway_rate_limiter_unavailable_total")), "accepted")],
                ),
            ],
        ),
    ],
)
