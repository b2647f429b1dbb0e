"""What somebody is to be told, and how urgently; each alert has a section of its own in docs/runbook.md."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from monitoring.objectives import BURNS, OBJECTIVES, Burn, Objective, recorded
from monitoring.promql import state

#: A few bad events in the long window wake nobody, however few others there were.
_FEW: Final = 3


@dataclass(frozen=True)
class Alert:
    """Fires when ``expression`` has been true for ``held``; ``page``: now, ``ticket``: on the next working day.

    ``{1h}`` in an expression is a window, ``{600}`` an age in seconds: both are shortened in tests.
    """

    name: str
    severity: str
    summary: str
    description: str
    expression: str
    held: str = "0s"
    labels: dict[str, str] = field(default_factory=dict)


def every() -> Sequence[Alert]:
    return (*_UPSTREAM, *_WAITING, *_WEBHOOKS, *_MONEY, *_REDIS, *_PROCESSES, *_burning())


def _hold(reason: str) -> str:
    return f"""{state("gateway_dispatch_paused", where=f'cause="{reason}"')} == 1"""


_UPSTREAM: Final = (
    Alert(
        "SubmitsUnconfirmed",
        "ticket",
        "{{ $value }} submits have an unknown outcome",
        "fal may have them; each keeps its hold until it is resolved, and its slot for some minutes.",
        # By the age of the oldest: under load there is always one, though each goes within minutes.
        f"{state('gateway_unconfirmed')} > 0 and {state('gateway_unconfirmed_seconds')} > {{600}}",
        "1m",
    ),
    Alert(
        "PaidAndLost",
        "page",
        "fal reported {{ $value }} videos of generations that were given up",
        "They are paid for, and their tenants were answered with a failure. fal keeps a video for a short time only.",
        f"{state('gateway_paid_and_lost')} > 0",
    ),
    Alert(
        "DispatchPaused",
        "ticket",
        "An operator holds dispatch",
        "Generations are accepted, or refused while draining, and none is sent to fal.",
        f"{_hold('paused')} or {state('gateway_draining')} == 1",
        "15m",
    ),
    Alert(
        "AccountLocked",
        "page",
        "fal refuses our account",
        "A key that is not in force, or a balance that is gone: nothing is dispatched until that is changed.",
        _hold("locked"),
        "1m",
    ),
    Alert(
        "SubmitsFailing",
        "page",
        "Submits to fal fail",
        "Several generations failed and none was accepted. Dispatch is held, and one generation tries now and then.",
        _hold("failing"),
        "5m",
    ),
    Alert(
        "TenantSubmitsFailing",
        "ticket",
        "{{ $value }} tenants are held by their own failed submits",
        "fal refuses or fails their generations. Other tenants' are dispatched.",
        f"{state('gateway_tenants_submits_failing')} > 0",
        "15m",
    ),
)

_WAITING: Final = (
    Alert(
        "QueueAgeHigh",
        "ticket",
        "A generation has waited for {{ $value | humanizeDuration }} to be dispatched",
        "The upstream slots do not suffice, dispatch is held, or its tenant is at a limit of its own.",
        f"{state('gateway_oldest_queued_seconds')} > 1800",
        "10m",
    ),
    Alert(
        "WorkQueueLagging",
        "page",
        "Due work of {{ $labels.work_queue }} has waited for {{ $value | humanizeDuration }}",
        "Workers do not keep up, or there are none.",
        f"""{state("gateway_overdue_seconds", by="work_queue", where='work_queue!="dispatch"')} > 60""",
        "5m",
    ),
)

_DEAD: Final = state("gateway_webhook_dead_letters", by="tenant")

_WEBHOOKS: Final = (
    Alert(
        "WebhookBacklogGrowing",
        "ticket",
        "{{ $value }} webhooks are due and not under way",
        "Receivers are slow, or workers too few; tenants hear late of their generations.",
        f"sum ({state('gateway_webhook_backlog', by='tenant')}) > 1000",
        "15m",
    ),
    Alert(
        "WebhookDeadLetters",
        "ticket",
        "{{ $value }} more webhooks are in the dead letter than at some time of the last hour",
        "All attempts failed, or their endpoint is disabled; the tenant can replay them.",
        # Tenant by tenant: one's replays do not make up for another's dead. Not with what was an hour ago: there may
        # have been no series then, of a tenant that is new or of anybody while Redis was away.
        f"sum ({_DEAD} - min_over_time({_DEAD}[{{1h}}:])) > 0",
    ),
)


def _used(scope: str, by: str) -> str:
    held, spent, budget = (state(f"gateway_{scope}{what}_micro_usd", by=by) for what in ("held", "spent", "budget"))
    return f"({held} + {spent}) / {budget}"


def _refused(reason: str, by: str) -> str:
    """A counter that has just come into being has had no increase yet; one whose scrape failed once is not new."""
    series = f'gateway_generations_refused_total{{reason="{reason}"}}'
    of = f"sum by ({by})" if by else "sum"
    before = f"last_over_time({series}[{{5m}}] offset {{15m}})"
    return f"{of} (increase({series}[{{15m}}])) > 0 or {of} ({series} unless {before}) > 0"


def _budget(share: int, summary: str, tenants: str, account: str) -> Alert:
    return Alert(
        "BudgetNearlySpent",
        "ticket",
        summary,
        "Of this month (UTC) for a tenant, of today for the account. What no longer fits is refused with 402.",
        f'{tenants} or label_replace({account}, "tenant", "the account", "", "")',
        labels={"share": str(share)},
    )


def _at_estimate(operator: str) -> str:
    return f"""sum by (reason) (increase(gateway_settled_at_estimate_total{{reason{operator}"missing"}}[{{1h}}]))"""


#: One is ``missing`` now and then, where fal has lost a result; for half of all ends fal has left the header out.
_HALF_MISSING: Final = (
    f"({_at_estimate('=')} > {_FEW} and on () {_at_estimate('=')} > on () "
    "0.5 * sum (increase(gateway_completions_total[{1h}])))"
)

_MONEY: Final = (
    _budget(
        80,
        "{{ $labels.tenant }} has used {{ $value | humanizePercentage }} of its budget",
        f"{_used('', 'tenant')} >= 0.8",
        f"({_used('account_', '')} >= 0.8)",
    ),
    _budget(
        100,
        "The budget of {{ $labels.tenant }} is spent",
        f"({_used('', 'tenant')} >= 1 or {_refused('tenant_month', 'tenant')})",
        f"({_used('account_', '')} >= 1 or {_refused('account_day', '')})",
    ),
    Alert(
        "SettledAtEstimate",
        "ticket",
        "{{ $value | humanize }} generations cost their estimate: billed units {{ $labels.reason }}",
        "fal named no usable number of billed units. Correct the cost with `adjust` once fal's bill is known.",
        f"{_at_estimate('!=')} > 0 or {_HALF_MISSING}",
    ),
    Alert(
        "PriceChanged",
        "ticket",
        "fal bills {{ $labels.resolution }} differently from the price formula",
        "The last successes of this resolution were all billed other units than their duration accounts for.",
        f"{state('gateway_price_changed', by='resolution')} == 1",
    ),
)

_MEMORY_USED: Final = f"{state('gateway_redis_memory_bytes')} / {state('gateway_redis_create_limit_bytes')}"

_REDIS: Final = (
    Alert(
        "RedisUnavailable",
        "page",
        "Redis is away",
        "Creates are answered with 503, workers wait. What was accepted is in Redis' append-only file.",
        f"{state('gateway_redis_up')} == 0",
        "1m",
    ),
    Alert(
        "RedisNotDurable",
        "page",
        "Redis does not keep what it acknowledges",
        "Its append-only file is off or cannot be written, it may evict jobs, or replicas are missing.",
        "min (gateway_redis_durable) < 1",
        "1m",
        {"loss": "everything"},
    ),
    Alert(
        "RedisNotDurable",
        "ticket",
        "A crash of Redis may lose a second of accepted jobs",
        "`appendfsync` is not `always`.",
        "min (gateway_redis_durable) == 1",
        "10m",
        {"loss": "a second"},
    ),
    Alert(
        "RedisMemoryHigh",
        "page",
        "Redis has used {{ $value | humanizePercentage }} of the memory at which creates are refused",
        "From there on creates are answered with 503, until memory is free.",
        f"{_MEMORY_USED} > 0.9",
        "10m",
    ),
    Alert(
        "RedisMemoryFull",
        "page",
        "Creates are refused: Redis has too little memory left",
        "What was accepted goes on: ends, callbacks, webhooks and reads have the rest of the memory.",
        f"{_MEMORY_USED} >= 1",
        "1m",
    ),
)

_READABLE: Final = f"{state('gateway_redis_up')} == 1"

_PROCESSES: Final = (
    Alert(
        "GatewayMissing",
        "page",
        "No gateway answers Prometheus",
        "None is running, or none can be scraped.",
        "absent(gateway_redis_up)",
        "2m",
    ),
    Alert(
        "BeatDead",
        "ticket",
        "Beat has been silent",
        "Nothing is late: workers poll their queues once a second without it. One safeguard is missing.",
        f"min (gateway_beat_age_seconds) > 30 or absent(gateway_beat_age_seconds) and on () ({_READABLE})",
        "1m",
    ),
    Alert(
        "ClockWrong",
        "page",
        "The clock of {{ $labels.instance }} is {{ $value | humanizeDuration }} off",
        "Its processes use the time of Redis and do no harm, but they claim no work and are not ready.",
        "max by (instance) (abs(gateway_clock_skew_seconds)) > 2",
        "1m",
    ),
    Alert(
        "WorkersMissing",
        "page",
        "No worker serves the queue {{ $labels.queue }}",
        "Nothing of that queue is worked off.",
        f"{state('gateway_workers', by='queue')} == 0",
        "1m",
    ),
)


def _burning() -> Iterator[Alert]:
    for objective in OBJECTIVES:
        for burn in BURNS:
            yield _burning_so(objective, burn)


def _burning_so(objective: Objective, burn: Burn) -> Alert:
    limit = f"{burn.factor * objective.budget:.6g}"
    long, short = (f'{recorded(window)}{{slo="{objective.name}"}}' for window in (burn.long, burn.short))
    bad = objective.bad.replace("rate(", "increase(").replace("{over}", f"{{{burn.long}}}")
    return Alert(
        f"{objective.name.title()}SloBurning",
        burn.severity,
        f"The error budget of {objective.name} burns {burn.factor:g} times too fast",
        f"{{{{ $value | humanizePercentage }}}} of the events of the last {burn.long} were bad;"
        f" the objective allows {objective.budget:.3%}.",
        f"{long} > {limit} and on () {short} > {limit} and on () ({bad}) > {_FEW}",
        labels={"window": burn.long},
    )
