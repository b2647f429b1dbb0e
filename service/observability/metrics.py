"""Every Prometheus metric, declared once. Label values are bounded: a tenant id is one, an end user or a job id never.

Each process counts its own events with prometheus-client. A ``StateGauge`` is read from Redis by a gateway when it is
scraped, so it has the same value at every gateway.
"""

import platform
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, TypeVar

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from service.build_info import commit, version

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which no query reads

#: Tenants with series of their own in one process: the first of them. Later ones are counted together.
_MOST_TENANTS: Final = 5_000
_OTHER_TENANTS: Final = "other"

Metric = TypeVar("Metric", Counter, Histogram)

#: Of each tenant with series of its own: its series, by metric and the labels after the tenant.
_tenants: Final[dict[str, dict[tuple[Any, ...], Any]]] = {}


def tenant_series(metric: Metric, tenant_id: str, *labels: str) -> Metric:
    """Return a series of a tenant, whose id is the first label. The series of a process are bounded by its tenants.

    It is resolved once: ``labels`` of prometheus-client takes longer than to count.
    """
    known = _tenants.get(tenant_id)
    if known is None:
        if len(_tenants) >= _MOST_TENANTS:
            return series(metric, _OTHER_TENANTS, *labels)
        known = _tenants[tenant_id] = {}
    found: Metric | None = known.get((metric, *labels))
    if found is None:
        found = known[metric, *labels] = metric.labels(tenant_id, *labels)
    return found


def tenants() -> list[str]:
    """Return the tenants that have series of their own."""
    return list(_tenants)


def forget_tenant(tenant_id: str) -> None:
    """Remove the series of a tenant, which makes room for another one. Not for metrics that processes share."""
    for metric, *labels in _tenants.pop(tenant_id, {}):
        metric.remove(tenant_id, *labels)


def series(metric: Metric, *labels: str) -> Metric:
    """Return a series of a metric without a tenant, which is resolved once."""
    found: Metric = _series(metric, *labels)
    return found


@cache
def _series(metric: Any, *labels: str) -> Any:
    return metric.labels(*labels)


Completion = Literal["good", "bad"]

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LONG = (0.05, 0.25, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1800.0, 7200.0, 86400.0)
_SLOW = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1800.0, 7200.0)

HTTP_SECONDS = Histogram(
    "gateway_http_request_seconds", "Time from a request to its response.", ("method", "route", "status"), buckets=_FAST
)
TENANT_REQUESTS = Counter(
    "gateway_tenant_requests",
    "Requests with a valid API key: `read` (GET, HEAD) or `write`, answered `ok`, `refused` (4xx) or `failed` (5xx).",
    ("tenant", "kind", "outcome"),
)
ACCEPT_SECONDS = Histogram(
    "gateway_accept_seconds", "Time from a valid create to its durable acceptance or refusal.", buckets=_FAST
)
CREATED = Counter("gateway_generations_created", "Accepted generations, without idempotent replays.", ("tenant",))
ACCEPTED_BY_MODEL = Counter(
    "gateway_generations_accepted_by_model",
    "Accepted generations by model, without idempotent replays. Only enabled models are labels.",
    ("model",),
)
REFUSED = Counter("gateway_generations_refused", "Creates refused by a budget or a limit.", ("tenant", "reason"))
RATE_LIMITER_UNAVAILABLE = Counter(
    "gateway_rate_limiter_unavailable", "Requests accepted without a rate limit because Redis did not answer."
)
REPLAYED = Counter(
    "gateway_generations_replayed",
    "Creates answered with the generation of an earlier one: the same idempotency key, or a resend of a fal client.",
    ("tenant",),
)
RESPONSES_LOST = Counter(
    "gateway_responses_lost", "Submits of fal clients that disconnected before the response was sent.", ("tenant",)
)
RESENT = Counter(
    "gateway_submits_resent", "Resends of fal clients, answered with the generation of the first submit.", ("tenant",)
)
FINISHED = Counter(
    "gateway_generations_finished", "Generations that ended, by status and error code.", ("tenant", "status", "code")
)
COMPLETIONS = Counter(
    "gateway_completions",
    "Generations that ended: good with a video or by an error of the request, else bad. Canceled ones are not counted.",
    ("outcome",),
)
GENERATION_SECONDS = Histogram(
    "gateway_generation_seconds", "Time from acceptance to the end of a generation.", ("status",), buckets=_SLOW
)
DISPATCH_WAIT_SECONDS = Histogram(
    "gateway_dispatch_wait_seconds", "Time from acceptance to the submit to fal.", buckets=(*_FAST, *_SLOW[4:])
)
STATE_SECONDS = Histogram(
    "gateway_state_seconds",
    "Time that a generation spent in a status, observed when it leaves the status.",
    ("status",),
    buckets=_LONG,
)
COST = Counter("gateway_cost_micro_usd", "Settled cost in micro-USD. Adjustments are not counted.", ("tenant",))
SETTLED_AT_ESTIMATE = Counter(
    "gateway_settled_at_estimate",
    "Generations settled at the estimate because the billed units were missing, negative or above 1.1 times the hold.",
    ("reason",),
)
TRANSITION_CONFLICTS = Counter(
    "gateway_transition_conflicts",
    "Transitions rejected because another process changed the record first.",
    ("transition",),
)

UPSTREAM_CALLS = Counter(
    "gateway_upstream_calls", "Requests to fal, by HTTP status or error.", ("operation", "outcome")
)
UPSTREAM_SECONDS = Histogram("gateway_upstream_seconds", "Duration of a request to fal.", ("operation",), buckets=_FAST)
CALLBACKS = Counter("gateway_callbacks", "Callbacks from fal, by what the gateway did with them.", ("outcome",))
POLL_DELAY_SECONDS = Histogram(
    "gateway_poll_delay_seconds", "Time between the due time of a poll and its start.", buckets=_FAST
)

IMAGES = Counter(
    "gateway_images", "Images sent to the gateway: accepted, or the error code of the refusal.", ("outcome",)
)
CLIPS = Counter(
    "gateway_clips",
    "Video and audio files sent to the gateway: accepted, or the error code of the refusal.",
    ("outcome",),
)
PREFLIGHTS = Counter("gateway_preflights", "Probes of image URLs before a submit, by outcome.", ("outcome",))
VIDEOS = Counter(
    "gateway_videos",
    "Copies of videos: stored, failed attempts, and results that link to fal's URL instead.",
    ("outcome",),
)

DISPATCH_PAUSES = Counter("gateway_dispatch_pauses", "Pauses of dispatch that fal's responses caused.", ("cause",))

ACTS = Counter(
    "gateway_acts",
    "Acts of operators and managing acts of tenants in the audit trail, by kind of actor and outcome.",
    ("actor", "outcome"),
)
ACTS_REFUSED = Counter(
    "gateway_acts_refused",
    "Changes by tenants that were refused because of a tenant's share of the audit trail: daily or stored.",
    ("limit",),
)
OPERATOR_LOGINS_REFUSED = Counter(
    "gateway_operator_logins_refused", "Calls of operators with a token that is not valid."
)
CONSOLE_LOGINS_REFUSED = Counter(
    "gateway_console_logins_refused",
    "Refused logins to the console: secret (a key, a token or a JWT), link, openid, or limit (too many attempts).",
    ("way",),
)
KEY_SETS_UNAVAILABLE = Counter(
    "gateway_key_sets_unavailable",
    "Failed fetches of public keys: of issuers that tenants trust, and of the provider of OpenID Connect.",
    ("of",),
)
RECONCILIATIONS = Counter(
    "gateway_reconciliations",
    "Unconfirmed submits compared with fal's billing events: adopted, ambiguous, not billed, or events unavailable.",
    ("outcome",),
)

EVENT_STREAMS = Gauge("gateway_event_streams", "Event streams that are open.", multiprocess_mode="livesum")
BYTES_IN_PROGRESS = Gauge(
    "gateway_bytes_in_progress",
    "Bytes of bodies and uploads that are read or processed, in memory or on disk.",
    ("where",),
    multiprocess_mode="livesum",
)
WAITING_CALLS = Gauge(
    "gateway_waiting_calls",
    "Requests that wait for a change of a generation (long polls).",
    multiprocess_mode="livesum",
)
VIDEO_DOWNLOADS = Gauge(
    "gateway_video_downloads", "Videos that clients are reading from a gateway.", multiprocess_mode="livesum"
)
VIDEO_DOWNLOADS_STOPPED = Counter(
    "gateway_video_downloads_stopped", "Videos whose client was disconnected because it did not read."
)
EVENT_STREAMS_ENDED = Counter("gateway_event_streams_ended", "Event streams that ended, by reason.", ("reason",))

WEBHOOK_ATTEMPTS_OPEN = Gauge(
    "gateway_webhook_attempts_open",
    "Webhook attempts under way, to `proven` receivers and to `unproven` ones, which share a part of them.",
    ("receiver",),
    multiprocess_mode="livesum",
)
WEBHOOK_ATTEMPTS = Counter(
    "gateway_webhook_attempts", "Webhook attempts: delivered, failed, or dead after the last attempt.", ("outcome",)
)
WEBHOOKS_DEAD_LETTERED = Counter("gateway_webhooks_dead_lettered", "Deliveries moved to the dead letter.", ("tenant",))
WEBHOOKS_REPLAYED = Counter("gateway_webhooks_replayed", "Deliveries replayed on request.", ("tenant",))
ENDPOINT_WARNINGS = Counter(
    "gateway_webhook_endpoint_warnings",
    "Warnings sent about endpoints whose deliveries all fail, by share of the time until they are disabled.",
    ("tenant", "percent"),
)
ENDPOINTS_DISABLED = Counter(
    "gateway_webhook_endpoints_disabled", "Webhook endpoints disabled, by reason.", ("tenant", "reason")
)
WEBHOOK_SECONDS = Histogram("gateway_webhook_seconds", "Duration of a webhook attempt.", buckets=_FAST)

WORK_ITEMS_CLAIMED = Counter("gateway_work_items_claimed", "Entries claimed from a work queue.", ("work_queue",))
WORK_ITEMS_FAILED = Counter(
    "gateway_work_items_failed",
    "Entries whose processing raised an exception. They are due again when their lease expires.",
    ("work_queue",),
)
NUDGES = Counter(
    "gateway_nudges",
    "Hints to consumers: sent to the broker, claimed locally without a hint, or failed.",
    ("work_queue", "outcome"),
)
REDIS_EXCHANGE_SECONDS = Histogram(
    "gateway_redis_seconds", "Duration of one round trip to Redis with all commands of its batch.", buckets=_FAST
)
REDIS_BATCH = Histogram(
    "gateway_redis_batch_commands", "Commands in one round trip to Redis.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
)

CLOCK_SKEW = Gauge(
    "gateway_clock_skew_seconds",
    "Clock of this machine minus the clock of Redis. Beyond 2 s in either direction the process claims no work.",
    multiprocess_mode="livemostrecent",
)

BUILD = Gauge(
    "gateway_build_info",
    "Always 1. The labels name the running release.",
    ("version", "commit", "python"),
    multiprocess_mode="max",
)


def set_build_info() -> None:
    BUILD.labels(version(), commit(), platform.python_version()).set(1)


@dataclass(frozen=True, slots=True)
class StateGauge:
    """A gauge that a gateway reads from Redis when it is scraped. Workers do not have it."""

    name: str
    documentation: str
    labels: tuple[str, ...] = ()


_TENANT: Final = ("tenant",)

REDIS_UP = StateGauge("gateway_redis_up", "1 while Redis answers. At 0 the other gauges read from Redis are missing.")
STATE_READ_SECONDS = StateGauge("gateway_state_read_seconds", "Duration of the last read of all gauges from Redis.")
REDIS_MEMORY = StateGauge("gateway_redis_memory_bytes", "Memory used by Redis.")
REDIS_MEMORY_LIMIT = StateGauge(
    "gateway_redis_memory_limit_bytes",
    "Limit of it: maxmemory, else `GATEWAY_REDIS_MEMORY_LIMIT`, else the memory of its machine. Missing if unknown.",
)
REDIS_CREATE_LIMIT = StateGauge(
    "gateway_redis_create_limit_bytes", "Memory at which creates are refused. Missing if the limit is unknown."
)
REDIS_DURABLE = StateGauge(
    "gateway_redis_durable",
    "2: Redis writes to disk before it answers. 1: within a second. 0: writes can be lost, or replicas are missing. "
    "Missing if Redis does not report it.",
)
BEAT_AGE = StateGauge("gateway_beat_age_seconds", "Time since the last heartbeat of beat.")
WORKERS = StateGauge(
    "gateway_workers", "Workers with a heartbeat in the last 15 seconds, by the Celery queue they serve.", ("queue",)
)
DUE_ENTRIES = StateGauge(
    "gateway_due_entries",
    "Entries of a work queue, waiting or in progress. An entry of `deliver` is a tenant with proven receivers.",
    ("work_queue",),
)
OVERDUE_SECONDS = StateGauge(
    "gateway_overdue_seconds", "Time since the oldest entry of a work queue became due.", ("work_queue",)
)
DISPATCH_PAUSED = StateGauge(
    "gateway_dispatch_paused", "1 while dispatch is paused by this cause: `paused`, `locked` or `failing`.", ("cause",)
)
DRAINING = StateGauge("gateway_draining", "1 while the gateway drains and refuses new generations.")
TENANTS_PAUSED = StateGauge("gateway_tenants_paused", "Tenants whose dispatch an operator has paused.")
TENANTS_SUBMITS_FAILING = StateGauge(
    "gateway_tenants_submits_failing", "Tenants whose dispatch is stopped because their own submits fail."
)
TENANT_STOPPED = StateGauge(
    "gateway_tenant_dispatch_stopped",
    "1 while a tenant's queued generations are not submitted: `paused` by an operator, or its own submits are "
    "`failing`; of 200 tenants for each cause.",
    ("tenant", "cause"),
)
GENERATIONS_SUBMIT_FAILING = StateGauge(
    "gateway_generations_submit_failing", "Generations whose submit failed since the last accepted submit."
)
SUBMIT_WINDOW = StateGauge(
    "gateway_submit_window",
    "Submits that may be in progress at once. It grows with accepted submits and shrinks after failures.",
)
UNCONFIRMED = StateGauge("gateway_unconfirmed", "Generations whose submit has an unknown outcome.")
UNCONFIRMED_SECONDS = StateGauge("gateway_unconfirmed_seconds", "Age of the oldest unconfirmed submit.")
PAID_AND_LOST = StateGauge(
    "gateway_paid_and_lost",
    "Generations given up although fal reported or may have billed their video. Revived ones are not counted.",
)
SLOTS_USED = StateGauge("gateway_slots_used", "Slots in use: generations that fal may be working on.")
SLOTS_ALLOWED = StateGauge("gateway_slots_allowed", "Slots in total (`GATEWAY_UPSTREAM_CONCURRENCY`).")
TRAIL_BREAKS = StateGauge(
    "gateway_trail_breaks",
    "Places where the hash chain of the audit trail is broken, by the last verification of all entries.",
)
PRICE_CHANGED = StateGauge(
    "gateway_price_changed",
    "1 while fal has billed other units than expected for the last 5 successes.",
    ("resolution",),
)
ACCOUNT_HELD = StateGauge("gateway_account_held_micro_usd", "Held for the generations of today (UTC), all tenants.")
ACCOUNT_SPENT = StateGauge(
    "gateway_account_spent_micro_usd", "Settled for the generations of today (UTC), all tenants."
)
ACCOUNT_BUDGET = StateGauge(
    "gateway_account_budget_micro_usd", "Daily budget of the account. Missing without a budget."
)

TENANT_INFO = StateGauge("gateway_tenant_info", "Always 1. Joins the id of a tenant with its name.", ("tenant", "name"))

# A tenant has these while something is queued, at fal, undelivered or dead, or if it has a generation of this month.
QUEUED = StateGauge("gateway_queued", "Generations that wait for dispatch.", _TENANT)
OLDEST_QUEUED_SECONDS = StateGauge(
    "gateway_oldest_queued_seconds", "Age of the oldest queued generation, 0 without one.", _TENANT
)
TENANT_SLOTS = StateGauge("gateway_tenant_slots_used", "Slots in use by a tenant.", _TENANT)
TENANT_HELD = StateGauge("gateway_held_micro_usd", "Held for a tenant's generations of this month (UTC).", _TENANT)
TENANT_SPENT = StateGauge("gateway_spent_micro_usd", "Settled for a tenant's generations of this month (UTC).", _TENANT)
TENANT_BUDGET = StateGauge("gateway_budget_micro_usd", "Monthly budget of a tenant. Missing without a budget.", _TENANT)
TENANT_STORED_BYTES = StateGauge(
    "gateway_tenant_stored_bytes",
    "Estimate of the bytes that a tenant stores in Redis, of the 200 that store most. Sampled every 10 seconds.",
    _TENANT,
)
WEBHOOKS_PENDING = StateGauge(
    "gateway_webhooks_pending", "Deliveries that are due or wait for their next attempt.", _TENANT
)
WEBHOOK_BACKLOG = StateGauge("gateway_webhook_backlog", "Deliveries that are due now and not in progress.", _TENANT)
WEBHOOK_FAILING_SECONDS = StateGauge(
    "gateway_webhook_failing_seconds",
    "Time for which all attempts to one receiver of a tenant have failed, 0 without one. Of several, the longest.",
    _TENANT,
)
DEAD_LETTERS = StateGauge(
    "gateway_webhook_dead_letters", "Deliveries in the dead letter that were not replayed.", _TENANT
)
