"""Every Prometheus metric, declared once. Labels are bounded: a tenant yes, an end user or an id never.

Two kinds: what a process counts of its own doings (prometheus-client's, exported by every process), and the state of
everybody, which a gateway reads from Redis when it is asked: right with any number of processes.
"""

import platform
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from service.build_info import commit, version

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which nobody asks for

Completion = Literal["good", "bad"]

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LONG = (0.05, 0.25, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1800.0, 7200.0, 86400.0)
_SLOW = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1800.0, 7200.0)

HTTP_SECONDS = Histogram(
    "gateway_http_request_seconds", "Time to answer a call.", ("method", "route", "status"), buckets=_FAST
)
ACCEPT_SECONDS = Histogram(
    "gateway_accept_seconds", "From a valid create to its durable acceptance or refusal.", buckets=_FAST
)
CREATED = Counter("gateway_generations_created", "Generations accepted, replays not counted.", ("tenant",))
REFUSED = Counter("gateway_generations_refused", "Creates refused by a budget or limit.", ("tenant", "reason"))
RATE_LIMITER_UNAVAILABLE = Counter(
    "gateway_rate_limiter_unavailable", "Calls let through because the rate limiter was away."
)
REPLAYED = Counter("gateway_generations_replayed", "Creates answered from an idempotency key.", ("tenant",))
RESPONSES_LOST = Counter(
    "gateway_responses_lost", "Submits whose caller was gone before the answer was sent.", ("tenant",)
)
RESENT = Counter(
    "gateway_submits_resent", "Submits answered with what an earlier one made, its answer lost.", ("tenant",)
)
FINISHED = Counter("gateway_generations_finished", "Generations ended.", ("tenant", "status", "code"))
COMPLETIONS = Counter(
    "gateway_completions",
    "Generations ended: good with a video or by a fault of the request itself, else bad; canceled ones do not count.",
    ("outcome",),
)
GENERATION_SECONDS = Histogram("gateway_generation_seconds", "From accepted to ended.", ("status",), buckets=_SLOW)
DISPATCH_WAIT_SECONDS = Histogram(
    "gateway_dispatch_wait_seconds", "From accepted to sent upstream.", buckets=(*_FAST, *_SLOW[3:])
)
STATE_SECONDS = Histogram(
    "gateway_state_seconds", "Time spent in a state, by the state that was left.", ("status",), buckets=_LONG
)
COST = Counter("gateway_cost_micro_usd", "Settled cost in micro-USD.", ("tenant",))
SETTLED_AT_ESTIMATE = Counter(
    "gateway_settled_at_estimate",
    "Ends reported by fal that cost the estimate: billed units missing, negative, or above 1.1 times the hold.",
    ("reason",),
)
TRANSITION_CONFLICTS = Counter(
    "gateway_transition_conflicts", "Moves refused because another process was first.", ("transition",)
)

UPSTREAM_CALLS = Counter("gateway_upstream_calls", "Calls to fal.", ("operation", "outcome"))
UPSTREAM_SECONDS = Histogram("gateway_upstream_seconds", "Time of a call to fal.", ("operation",), buckets=_FAST)
CALLBACKS = Counter("gateway_callbacks", "Callbacks from fal, and what became of them.", ("outcome",))
POLL_DELAY_SECONDS = Histogram("gateway_poll_delay_seconds", "How long after its time a poll was begun.", buckets=_FAST)

IMAGES = Counter("gateway_images", "Images sent to the gateway: taken, or why not.", ("outcome",))
PREFLIGHTS = Counter("gateway_preflights", "Looks at images before their submit.", ("outcome",))
VIDEOS = Counter("gateway_videos", "Copies of videos: kept, failed tries, passed on with fal's own URL.", ("outcome",))

DISPATCH_PAUSES = Counter("gateway_dispatch_pauses", "Times that fal's answers held dispatch.", ("cause",))

RECONCILIATIONS = Counter(
    "gateway_reconciliations",
    "Unconfirmed submits that billing events found, left ambiguous or proved unbilled; looks without an answer.",
    ("outcome",),
)

EVENT_STREAMS = Gauge("gateway_event_streams", "Event streams open at this process.", multiprocess_mode="livesum")
WAITING_CALLS = Gauge(
    "gateway_waiting_calls", "Calls held until a generation has moved or ended.", multiprocess_mode="livesum"
)
EVENT_STREAMS_ENDED = Counter("gateway_event_streams_ended", "Event streams ended, by why.", ("reason",))

WEBHOOK_ATTEMPTS = Counter("gateway_webhook_attempts", "Webhook attempts.", ("outcome",))
WEBHOOKS_DEAD_LETTERED = Counter(
    "gateway_webhooks_dead_lettered", "Deliveries that came to the dead letter.", ("tenant",)
)
WEBHOOKS_REPLAYED = Counter("gateway_webhooks_replayed", "Deliveries sent again on request.", ("tenant",))
ENDPOINT_WARNINGS = Counter(
    "gateway_webhook_endpoint_warnings", "Warnings of endpoints that only fail.", ("tenant", "percent")
)
ENDPOINTS_DISABLED = Counter(
    "gateway_webhook_endpoints_disabled", "Endpoints disabled, by failing or by 410.", ("tenant", "reason")
)
WEBHOOK_SECONDS = Histogram("gateway_webhook_seconds", "Time of a webhook attempt.", buckets=_FAST)

WORK_ITEMS_CLAIMED = Counter("gateway_work_items_claimed", "Items claimed from a due set.", ("work_queue",))
WORK_ITEMS_FAILED = Counter(
    "gateway_work_items_failed", "Items whose work raised; their lease brings them back.", ("work_queue",)
)
NUDGES = Counter("gateway_nudges", "Drain messages sent.", ("work_queue", "outcome"))
REDIS_EXCHANGE_SECONDS = Histogram("gateway_redis_seconds", "Time of an exchange with Redis.", buckets=_FAST)
REDIS_BATCH = Histogram(
    "gateway_redis_batch_commands", "Redis commands sent together.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
)

CLOCK_SKEW = Gauge(
    "gateway_clock_skew_seconds",
    "How far this machine's clock is ahead of Redis'; beyond 2 s either way the process claims nothing.",
    multiprocess_mode="livemostrecent",
)

BUILD = Gauge(
    "gateway_build_info", "Always 1; the release that runs.", ("version", "commit", "python"), multiprocess_mode="max"
)


def tell_build() -> None:
    BUILD.labels(version(), commit(), platform.python_version()).set(1)


@dataclass(frozen=True, slots=True)
class StateGauge:
    """Read from Redis when a gateway's /metrics is asked; a worker has none of them."""

    name: str
    documentation: str
    label: str = ""


_TENANT: Final = "tenant"

REDIS_UP = StateGauge("gateway_redis_up", "1 while Redis answers; at 0 all below are missing.")
STATE_READ_SECONDS = StateGauge("gateway_state_read_seconds", "Time of the last read of all these gauges.")
REDIS_MEMORY = StateGauge("gateway_redis_memory_bytes", "Memory that Redis uses.")
REDIS_MEMORY_LIMIT = StateGauge(
    "gateway_redis_memory_limit_bytes",
    "Its maxmemory, else `GATEWAY_REDIS_MEMORY_LIMIT`, else the memory of its machine. Missing: none is known.",
)
REDIS_CREATE_LIMIT = StateGauge(
    "gateway_redis_create_limit_bytes", "Memory from which on creates are refused. Missing: no limit is known."
)
REDIS_DURABLE = StateGauge(
    "gateway_redis_durable",
    "2: every write is on disk before it is answered; 1: within a second; 0: not kept, or too few replicas. "
    "Missing: Redis does not tell.",
)
BEAT_AGE = StateGauge("gateway_beat_age_seconds", "Since beat last said that it runs.")
WORKERS = StateGauge("gateway_workers", "Workers heard of lately, by the queue they serve.", "queue")
DUE_ENTRIES = StateGauge(
    "gateway_due_entries", "Entries in a due set, waiting or under way; of `deliver`: receivers.", "work_queue"
)
OVERDUE_SECONDS = StateGauge(
    "gateway_overdue_seconds", "How long the oldest entry of a due set has been due.", "work_queue"
)
DISPATCH_PAUSED = StateGauge("gateway_dispatch_paused", "1 while dispatch is held: paused, locked or failing.", "cause")
DRAINING = StateGauge("gateway_draining", "1 while nothing new is accepted.")
TENANTS_PAUSED = StateGauge("gateway_tenants_paused", "Tenants whose dispatch is paused.")
TENANTS_SUBMITS_FAILING = StateGauge(
    "gateway_tenants_submits_failing", "Tenants whose dispatch is held by their own failed submits."
)
GENERATIONS_SUBMIT_FAILING = StateGauge(
    "gateway_generations_submit_failing", "Generations whose submit failed since the last accepted submit."
)
SUBMIT_WINDOW = StateGauge(
    "gateway_submit_window", "Submits that may be under way: few at first and while submits fail."
)
UNCONFIRMED = StateGauge("gateway_unconfirmed", "Generations whose submit has an unknown outcome.")
UNCONFIRMED_SECONDS = StateGauge("gateway_unconfirmed_seconds", "Age of the oldest of them.")
PAID_AND_LOST = StateGauge(
    "gateway_paid_and_lost",
    "Generations that were given up, but of which fal reported or may have billed a video; not revived.",
)
SLOTS_USED = StateGauge("gateway_slots_used", "Upstream slots taken.")
SLOTS_ALLOWED = StateGauge("gateway_slots_allowed", "Upstream slots there are.")
PRICE_CHANGED = StateGauge(
    "gateway_price_changed", "1 while the last 5 successes were all billed other units than expected.", "resolution"
)
ACCOUNT_HELD = StateGauge("gateway_account_held_micro_usd", "Held by everybody's generations of today (UTC).")
ACCOUNT_SPENT = StateGauge("gateway_account_spent_micro_usd", "Settled of everybody's generations of today (UTC).")
ACCOUNT_BUDGET = StateGauge("gateway_account_budget_micro_usd", "The account's daily budget; missing: no limit.")

# Of tenants with something queued, at fal, undelivered or dead, or a generation of this month; others have no series.
QUEUED = StateGauge("gateway_queued", "Generations that wait to be dispatched.", _TENANT)
OLDEST_QUEUED_SECONDS = StateGauge("gateway_oldest_queued_seconds", "Age of the oldest of them; 0: none.", _TENANT)
TENANT_SLOTS = StateGauge("gateway_tenant_slots_used", "Upstream slots that a tenant takes up.", _TENANT)
TENANT_HELD = StateGauge("gateway_held_micro_usd", "Held by a tenant's generations of this month (UTC).", _TENANT)
TENANT_SPENT = StateGauge("gateway_spent_micro_usd", "Settled of a tenant's generations of this month (UTC).", _TENANT)
TENANT_BUDGET = StateGauge("gateway_budget_micro_usd", "A tenant's monthly budget; missing: no limit.", _TENANT)
WEBHOOKS_PENDING = StateGauge(
    "gateway_webhooks_pending", "Deliveries that are not done: due, or to be retried.", _TENANT
)
WEBHOOK_BACKLOG = StateGauge("gateway_webhook_backlog", "Of these, due now and not under way.", _TENANT)
DEAD_LETTERS = StateGauge("gateway_webhook_dead_letters", "Deliveries in the dead letter, not replayed.", _TENANT)
