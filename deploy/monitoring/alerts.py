"""The alerts. Each has a section of its own in docs/runbook.md."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from monitoring.objectives import BURNS, OBJECTIVES, Burn, Objective, recorded
from monitoring.promql import increase, named, or_zero, rate, state

#: This many bad events in the long window do not alert, however few events there were.
_FEW: Final = 3


@dataclass(frozen=True)
class Alert:
    """Fires when ``expression`` has been true for ``held``.

    Severity ``page`` needs an operator now, ``ticket`` on the next working day. ``{1h}`` in an expression is a window,
    ``{600}`` an age in seconds: tests shorten both.
    """

    name: str
    severity: str
    summary: str
    description: str
    expression: str
    held: str = "0s"
    labels: dict[str, str] = field(default_factory=dict)


def every() -> Sequence[Alert]:
    return (*_UPSTREAM, *_WAITING, *_REQUESTS, *_WEBHOOKS, *_MONEY, *_REDIS, *_OPERATORS, *_PROCESSES, *_burning())


def _paused(cause: str) -> str:
    return f"""{state("gateway_dispatch_paused", where=f'cause="{cause}"')} == 1"""


def _paused_and_probed(cause: str) -> str:
    """Without a worker of dispatch no submit finds out that the cause is cured: then WorkersMissing fires alone."""
    workers = state("gateway_workers", where='queue="dispatch"')
    return f"{_paused(cause)} unless on () {workers} == 0"


def _stopped(cause: str) -> str:
    stopped = state("gateway_tenant_dispatch_stopped", by="tenant", where=f'cause="{cause}"')
    return named(f"({stopped} == 1)")


_UPSTREAM: Final = (
    Alert(
        "SubmitsUnconfirmed",
        "ticket",
        "{{ $value }} submits have an unknown outcome, the oldest for more than 10 minutes",
        "fal may have accepted them. Each keeps its hold until it is resolved, and its slot for some minutes.",
        # By the age of the oldest: under load there is always one, although each is resolved within minutes.
        f"{state('gateway_unconfirmed')} > 0 and {state('gateway_unconfirmed_seconds')} > {{600}}",
        "1m",
    ),
    Alert(
        "PaidAndLost",
        "page",
        "fal has billed or reported {{ $value }} videos of generations that were given up",
        "The videos are paid for, and their tenants received a failure. fal deletes a video after a short time.",
        f"{state('gateway_paid_and_lost')} > 0",
    ),
    Alert(
        "DispatchPaused",
        "ticket",
        "An operator paused dispatch or started a drain more than 15 minutes ago",
        "Nothing is sent to fal. New generations are queued during a pause and refused during a drain.",
        f"{_paused('paused')} or {state('gateway_draining')} == 1",
        "15m",
    ),
    Alert(
        "AccountLocked",
        "page",
        "fal has refused the account for more than a minute",
        "fal rejects the API key, or the balance is exhausted. Nothing is sent to fal until that is fixed.",
        _paused_and_probed("locked"),
        "1m",
    ),
    Alert(
        "SubmitsFailing",
        "page",
        "All submits to fal have failed for more than 5 minutes",
        "Several generations failed and fal accepted none. Dispatch is paused; one submit probes from time to time.",
        _paused_and_probed("failing"),
        "5m",
    ),
    Alert(
        "TenantSubmitsFailing",
        "ticket",
        "{{ $labels.name }}: all submits have failed for more than 15 minutes",
        "fal refuses or fails the generations of this tenant. Its dispatch is stopped; other tenants are dispatched.",
        _stopped("failing"),
        "15m",
    ),
    Alert(
        "TenantPaused",
        "ticket",
        "{{ $labels.name }} has been paused for more than a day",
        "An operator paused the tenant. Its generations are queued, and end at their deadline.",
        _stopped("paused"),
        "1d",
    ),
)

_WAITING: Final = (
    Alert(
        "QueueAgeHigh",
        "ticket",
        "{{ $labels.name }}: a generation has been queued for {{ $value | humanizeDuration }}",
        "All slots are in use, dispatch is paused, or the tenant has reached its own limit.",
        named(f"({state('gateway_oldest_queued_seconds', by='tenant')} > 1800)"),
        "10m",
    ),
    Alert(
        "WorkQueueLagging",
        "page",
        "The work queue {{ $labels.work_queue }} is {{ $value | humanizeDuration }} late",
        "Workers are too slow, or none is running.",
        f"""{state("gateway_overdue_seconds", by="work_queue", where='work_queue!="dispatch"')} > 60""",
        "5m",
    ),
)

#: Of one tenant. Some clients of fal poll ten times a second for each job, all day: that is their usual rate.
_READS: Final = rate("gateway_tenant_requests_total", by="tenant", where='kind="read"', over="{1m}")
_USUAL_READS: Final = """sum by (tenant) (rate(gateway_tenant_requests_total{kind="read"}[{1h}] offset {10m}))"""
_MANY_READS: Final = 50

_REQUESTS: Final = (
    Alert(
        "TenantReadsFlooding",
        "ticket",
        "{{ $labels.name }} reads {{ $value | humanize }} times a second, ten times as often as usual",
        "A client polls without a pause, or many clients do. Reads slow down the requests of all tenants.",
        named(
            f"({_READS} > {_MANY_READS} and on (tenant) "
            f"{_READS} > on (tenant) 10 * ({_USUAL_READS} or on (tenant) 0 * {_READS}))"
        ),
    ),
)

_DEAD: Final = state("gateway_webhook_dead_letters", by="tenant")

_WEBHOOKS: Final = (
    Alert(
        "WebhookBacklogGrowing",
        "ticket",
        "More than 1000 webhook deliveries have been due for more than 15 minutes ({{ $value }} now)",
        "Receivers are slow, or there are too few workers. Tenants receive their webhooks late.",
        f"sum ({state('gateway_webhook_backlog', by='tenant')}) > 1000",
        "15m",
    ),
    Alert(
        "WebhookDeadLetters",
        "ticket",
        "{{ $labels.name }}: {{ $value }} webhook deliveries moved to the dead letter in the last hour",
        "All attempts failed, or the endpoint is disabled. The tenant can replay them.",
        # By tenant: replays of one tenant do not hide new dead letters of another. Compared with the minimum, since an
        # hour ago a new tenant had no series, and no tenant had one while Redis was unavailable.
        named(f"({_DEAD} - min_over_time({_DEAD}[{{1h}}:]) > 0)"),
    ),
    Alert(
        "WebhookReceiverFailing",
        "ticket",
        "{{ $labels.name }}: every attempt to a webhook receiver has failed for {{ $value | humanizeDuration }}",
        "The receiver refuses, does not answer, or is gone. Its deliveries wait, and become dead letters after a day.",
        named(f"({state('gateway_webhook_failing_seconds', by='tenant')} > {{3600}})"),
    ),
)


def _used(scope: str, by: str) -> str:
    held, spent, budget = (state(f"gateway_{scope}{what}_micro_usd", by=by) for what in ("held", "spent", "budget"))
    return f"({held} + {spent}) / {budget}"


def _refused(reason: str, by: str) -> str:
    """A series that has just been created has no increase yet. One with a gap of a single scrape is not new."""
    series = f'gateway_generations_refused_total{{reason="{reason}"}}'
    of = f"sum by ({by})" if by else "sum"
    before = f"last_over_time({series}[{{5m}}] offset {{15m}})"
    return f"{of} (increase({series}[{{15m}}])) > 0 or {of} ({series} unless {before}) > 0"


def _budget(share: int, summary: str, tenants: str, account: str) -> Alert:
    return Alert(
        "BudgetNearlySpent",
        "ticket",
        summary,
        "Creates beyond the budget are refused (402). It is for this month (UTC) of a tenant, today of the account.",
        f'{named(f"({tenants})")} or label_replace({account}, "name", "The account", "", "")',
        labels={"share": str(share)},
    )


_TENANT_USED_UP: Final = f"({_used('', 'tenant')} >= 1 or {_refused('tenant_month', 'tenant')})"
_ACCOUNT_USED_UP: Final = f"({_used('account_', '')} >= 1 or {_refused('account_day', '')})"

#: Micro-USD of a tenant: settled in the last hour, and held for what has not ended. And settled in a usual hour.
_COST: Final = "gateway_cost_micro_usd_total"
_HELD: Final = state("gateway_held_micro_usd", by="tenant")
_SETTLED: Final = f"sum by (tenant) (increase({_COST}[{{1h}}]))"
_SPENT_IN_HOUR: Final = f"({_HELD} + on (tenant) ({_SETTLED} or on (tenant) 0 * {_HELD}))"
_USUAL_HOUR: Final = f"(sum by (tenant) (increase({_COST}[{{7d}}] offset {{1h}})) / 168 or on (tenant) 0 * {_HELD})"
#: In USD. Less than this an hour does not alert, however little is usual.
_MUCH: Final = 50


def _at_estimate(operator: str) -> str:
    return f"""sum by (reason) (increase(gateway_settled_at_estimate_total{{reason{operator}"missing"}}[{{1h}}]))"""


#: A single one is missing from time to time, when fal loses a result. At half of all ends fal has dropped the header.
_HALF_MISSING: Final = (
    f"({_at_estimate('=')} > {_FEW} and on () {_at_estimate('=')} > on () "
    "0.5 * sum (increase(gateway_completions_total[{1h}])))"
)

_MONEY: Final = (
    _budget(
        80,
        "{{ $labels.name }} has used {{ $value | humanizePercentage }} of its budget",
        f"{_used('', 'tenant')} >= 0.8 unless on (tenant) {_TENANT_USED_UP}",
        f"({_used('account_', '')} >= 0.8 unless on () {_ACCOUNT_USED_UP})",
    ),
    _budget(
        100,
        "{{ $labels.name }} has used up its budget",
        _TENANT_USED_UP,
        _ACCOUNT_USED_UP,
    ),
    Alert(
        "TenantSpendingUnusual",
        "ticket",
        "{{ $labels.name }}, which has no budget, has spent {{ $value | humanize }} USD in an hour, 10 times the usual",
        "Settled in the last hour and held for unfinished generations. Nothing limits the spending of this tenant.",
        named(
            f"({_SPENT_IN_HOUR} / 1e6 > {_MUCH} and on (tenant) {_SPENT_IN_HOUR} > on (tenant) 10 * {_USUAL_HOUR} "
            f"unless on (tenant) {state('gateway_budget_micro_usd', by='tenant')})"
        ),
    ),
    Alert(
        "SettledAtEstimate",
        "ticket",
        "{{ $value | humanize }} generations settled at the estimate in an hour: billed units {{ $labels.reason }}",
        "fal reported no usable number of billed units. Correct the cost with `adjust` when fal's bill is known.",
        f"{_at_estimate('!=')} > 0 or {_HALF_MISSING}",
    ),
    Alert(
        "PriceChanged",
        "ticket",
        "fal bills {{ $labels.resolution }} videos differently from the price formula",
        "The last 5 successes of this resolution were billed other units than the formula gives for their duration.",
        f"{state('gateway_price_changed', by='resolution')} == 1",
    ),
)

_MEMORY_USED: Final = f"{state('gateway_redis_memory_bytes')} / {state('gateway_redis_create_limit_bytes')}"

_STORED: Final = (
    f"{state('gateway_tenant_stored_bytes', by='tenant')} / on () group_left () "
    f"{state('gateway_redis_create_limit_bytes')}"
)

_REDIS: Final = (
    Alert(
        "RedisUnavailable",
        "page",
        "Redis has not answered for more than a minute",
        "Creates receive a 503, and workers wait. Accepted generations are in Redis' append-only file.",
        f"{state('gateway_redis_up')} == 0",
        "1m",
    ),
    Alert(
        "RedisNotDurable",
        "page",
        "Redis may lose writes that it has acknowledged",
        "The append-only file is off or not writable, keys may be evicted, or replicas are missing.",
        "min (gateway_redis_durable) < 1",
        "1m",
        {"loss": "everything"},
    ),
    Alert(
        "RedisNotDurable",
        "ticket",
        "A crash of Redis may lose the accepted generations of a second",
        "`appendfsync` is not `always`.",
        "min (gateway_redis_durable) == 1",
        "10m",
        {"loss": "a second"},
    ),
    Alert(
        "TenantStorageHigh",
        "ticket",
        "{{ $labels.name }} stores {{ $value | humanizePercentage }} of the memory at which creates are refused",
        "When memory runs low, the creates of the largest tenants are refused first.",
        named(f"({_STORED} > 0.5)"),
        "10m",
    ),
    Alert(
        "RedisMemoryHigh",
        "page",
        "Redis uses {{ $value | humanizePercentage }} of the memory at which creates are refused",
        "At 100% creates receive a 503 until memory is free.",
        f"{_MEMORY_USED} > 0.9",
        "10m",
    ),
    Alert(
        "RedisMemoryFull",
        "page",
        "Creates are refused because Redis is nearly full",
        "Accepted generations continue: the rest of the memory is reserved for ends, callbacks, webhooks and reads.",
        f"{_MEMORY_USED} >= 1",
        "1m",
    ),
)

_READABLE: Final = f"{state('gateway_redis_up')} == 1"

_REFUSED_TOKENS: Final = or_zero(increase("gateway_operator_logins_refused_total", over="15m"))
_REFUSED_ROLES: Final = or_zero(increase("gateway_acts_total", where='outcome="refused", actor="operator"', over="15m"))
_REFUSED_LOGINS: Final = or_zero(increase("gateway_console_logins_refused_total", over="15m"))
_NO_KEYS: Final = increase("gateway_key_sets_unavailable_total", by="of", over="15m")
_OPERATORS: Final = (
    Alert(
        "AuditTrailBroken",
        "page",
        "The hash chain of the audit trail is broken in {{ $value }} places",
        "An entry was changed, removed or inserted in Redis. The logs have the number and the hash of each entry.",
        f"{state('gateway_trail_breaks')} > 0",
    ),
    Alert(
        "OperatorCallsRefused",
        "ticket",
        "{{ $value | humanize }} calls of operators were refused in 15 minutes",
        "Calls with a token that is not valid, or of operators whose role does not allow the call.",
        f"({_REFUSED_TOKENS}) + ({_REFUSED_ROLES}) > 20",
    ),
    Alert(
        "ConsoleLoginsRefused",
        "ticket",
        "{{ $value | humanize }} logins to the console were refused in 15 minutes",
        "By keys, tokens, links or accounts that are not valid, or because an address tried too often.",
        f"({_REFUSED_LOGINS}) > 20",
    ),
    Alert(
        "KeySetsUnavailable",
        "ticket",
        "Public keys of {{ $labels.of }} cannot be fetched",
        "Tokens are verified with the last keys for an hour. After that, or where an issuer has new keys, callers "
        "with its tokens are refused.",
        f"{_NO_KEYS} > 5",
        "5m",
    ),
)
_PROCESSES: Final = (
    Alert(
        "GatewayMissing",
        "page",
        "Prometheus has scraped no gateway for more than 2 minutes",
        "No gateway is running, or none is reachable for Prometheus.",
        "absent(gateway_redis_up)",
        "2m",
    ),
    Alert(
        "BeatDead",
        "ticket",
        "Beat has sent no heartbeat for more than 30 seconds",
        "Nothing is late: workers also claim once a second without beat. One safeguard is missing.",
        f"min (gateway_beat_age_seconds) > 30 or absent(gateway_beat_age_seconds) and on () ({_READABLE})",
        "1m",
    ),
    Alert(
        "ClockWrong",
        "page",
        "The clock of {{ $labels.instance }} differs from Redis by {{ $value | humanizeDuration }}",
        "Its processes claim no work and are not ready. They use the time of Redis, so they write no wrong time.",
        "max by (instance) (abs(gateway_clock_skew_seconds)) > 2",
        "1m",
    ),
    Alert(
        "WorkersMissing",
        "page",
        "No worker has served the queue {{ $labels.queue }} for more than a minute",
        "No entry of this queue is processed.",
        f"{state('gateway_workers', by='queue')} == 0",
        "1m",
    ),
)


def _burning() -> Iterator[Alert]:
    for objective in OBJECTIVES:
        for burn in BURNS:
            yield _burn_alert(objective, burn)


def _burn_alert(objective: Objective, burn: Burn) -> Alert:
    limit = f"{burn.factor * objective.budget:.6g}"
    long, short = (f'{recorded(window)}{{slo="{objective.name}"}}' for window in (burn.long, burn.short))
    bad = objective.bad.replace("rate(", "increase(").replace("{over}", f"{{{burn.long}}}")
    return Alert(
        f"{objective.name.title()}SloBurning",
        burn.severity,
        f"{objective.subject.capitalize()} {objective.failure}: a 3-day error budget is spent in {burn.exhausted_in}",
        f"{{{{ $value | humanizePercentage }}}} of the {objective.subject} of the last {burn.long};"
        f" the objective allows {objective.budget:.1%}.",
        f"{long} > {limit} and on () {short} > {limit} and on () ({bad}) > {_FEW}",
        labels={"window": burn.long},
    )
