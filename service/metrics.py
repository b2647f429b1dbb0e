"""Every Prometheus metric, declared once. Labels are bounded: a tenant yes, an end user or an id never."""

from prometheus_client import Counter, Gauge, Histogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SLOW = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1800.0, 7200.0)

HTTP_SECONDS = Histogram(
    "gateway_http_request_seconds", "Time to answer a call.", ("method", "route", "status"), buckets=_FAST
)
CREATED = Counter("gateway_generations_created", "Generations accepted, replays not counted.", ("tenant",))
REFUSED = Counter("gateway_generations_refused", "Creates refused by a budget or limit.", ("tenant", "reason"))
RATE_LIMITER_AWAY = Counter("gateway_rate_limiter_away", "Calls let through because the rate limiter was away.")
REPLAYED = Counter("gateway_generations_replayed", "Creates answered from an idempotency key.", ("tenant",))
FINISHED = Counter("gateway_generations_finished", "Generations ended.", ("tenant", "status", "code"))
SECONDS_TO_END = Histogram("gateway_generation_seconds", "From accepted to ended.", ("status",), buckets=_SLOW)
SECONDS_TO_SUBMIT = Histogram(
    "gateway_dispatch_wait_seconds", "From accepted to sent upstream.", buckets=(*_FAST, *_SLOW[3:])
)
COST = Counter("gateway_cost_micro_usd", "Settled cost in micro-USD.", ("tenant",))
LOST_RACES = Counter("gateway_lost_races", "Moves refused because another process was first.", ("verb",))

UPSTREAM_CALLS = Counter("gateway_upstream_calls", "Calls to fal.", ("operation", "outcome"))
UPSTREAM_SECONDS = Histogram("gateway_upstream_seconds", "Time of a call to fal.", ("operation",), buckets=_FAST)
CALLBACKS = Counter("gateway_callbacks", "Callbacks from fal, and what became of them.", ("outcome",))
POLL_LATE_SECONDS = Histogram("gateway_poll_late_seconds", "How long after its time a poll was begun.", buckets=_FAST)

DISPATCH_HELD = Counter("gateway_dispatch_held", "Times that fal's answers held dispatch.", ("hold",))

RECONCILED = Counter(
    "gateway_reconciled",
    "Unconfirmed submits that billing events found, left ambiguous or proved unbilled; looks without an answer.",
    ("outcome",),
)

WEBHOOK_ATTEMPTS = Counter("gateway_webhook_attempts", "Webhook attempts.", ("outcome",))
WEBHOOKS_DEAD = Counter("gateway_webhooks_dead", "Deliveries that came to the dead letter.", ("tenant",))
WEBHOOKS_REPLAYED = Counter("gateway_webhooks_replayed", "Deliveries sent again on request.", ("tenant",))
ENDPOINT_WARNINGS = Counter(
    "gateway_webhook_endpoint_warnings", "Warnings of endpoints that only fail.", ("tenant", "percent")
)
ENDPOINTS_DISABLED = Counter(
    "gateway_webhook_endpoints_disabled", "Endpoints disabled, by failing or by 410.", ("tenant", "reason")
)
WEBHOOK_SECONDS = Histogram("gateway_webhook_seconds", "Time of a webhook attempt.", buckets=_FAST)

DRAINED = Counter("gateway_drained", "Items claimed from a due set.", ("drain",))
DRAIN_FAILURES = Counter("gateway_drain_failures", "Items whose work raised; their lease brings them back.", ("drain",))
NUDGES = Counter("gateway_nudges", "Drain messages sent.", ("drain", "outcome"))
STORE_BATCH = Histogram(
    "gateway_store_batch_commands", "Redis commands sent together.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
)

# State gauges: read from Redis when /metrics is asked, so they are right with any number of processes.
DUE = Gauge("gateway_due", "Entries in a due set, waiting or under way; of `deliver`: receivers.", ("drain",))
OVERDUE_SECONDS = Gauge("gateway_overdue_seconds", "How long the oldest entry of a due set has been due.", ("drain",))
DISPATCH_HOLD = Gauge("gateway_dispatch_hold", "1 while dispatch is held: paused, locked or failing.", ("hold",))
DRAINING = Gauge("gateway_draining", "1 while nothing new is accepted.")
PAUSED_TENANTS = Gauge("gateway_paused_tenants", "Tenants whose dispatch is paused.")
UNCONFIRMED = Gauge("gateway_unconfirmed", "Generations whose submit has an unknown outcome.")
UNCONFIRMED_SECONDS = Gauge("gateway_unconfirmed_seconds", "Age of the oldest of them.")
SLOTS_USED = Gauge("gateway_slots_used", "Upstream slots taken.")
SLOTS_ALLOWED = Gauge("gateway_slots_allowed", "Upstream slots there are.")
