"""Series that exist at 0 before their first event.

``rate`` and ``increase`` see nothing of the event that creates a series.
"""

from collections.abc import Collection, Iterable
from functools import cache
from itertools import chain, islice, product
from typing import Any, Final, get_args

from service.domain.actor import ActorKind
from service.domain.budgets import Scope
from service.domain.dispatch_gate import PauseCause
from service.domain.pricing import EstimateReason
from service.domain.status import PUBLIC_TERMINAL, TERMINAL, PublicStatus, Status
from service.domain.trail import Outcome
from service.domain.webhook import DeliveryStatus
from service.domain.work_queue import WorkQueue
from service.observability import metrics
from service.store.generations.callbacks import Reception

_CALLS: Final = ("submit", "status", "result", "cancel")

#: A metric, and for each of its labels the values that are known in advance.
_KNOWN: Final[tuple[tuple[Any, *tuple[Iterable[str], ...]], ...]] = (
    (metrics.HTTP_SECONDS, ("POST",), ("/v1/generations",), ("202", "500", "503")),
    (metrics.COMPLETIONS, get_args(metrics.Completion)),
    (metrics.GENERATION_SECONDS, TERMINAL),
    (metrics.STATE_SECONDS, [status for status in PublicStatus if status not in PUBLIC_TERMINAL]),
    (metrics.SETTLED_AT_ESTIMATE, get_args(EstimateReason)),
    (metrics.TRANSITION_CONFLICTS, ("save", "finish")),
    (metrics.UPSTREAM_CALLS, _CALLS, ("200",)),
    (metrics.UPSTREAM_SECONDS, _CALLS),
    (metrics.CALLBACKS, get_args(Reception)),
    (metrics.DISPATCH_PAUSES, (PauseCause.LOCKED, PauseCause.FAILING)),
    (metrics.RECONCILIATIONS, ("adopted", "ambiguous", "not_billed", "upstream_unavailable")),
    (metrics.ACTS, (ActorKind.OPERATOR, ActorKind.BREAK_GLASS), Outcome),
    (metrics.ACTS_REFUSED, ("daily", "stored")),
    (metrics.CONSOLE_LOGINS_REFUSED, ("secret", "link", "openid", "limit")),
    (metrics.KEY_SETS_UNAVAILABLE, ("tenant_issuer", "openid")),
    (metrics.IMAGES, ("accepted",)),
    (metrics.CLIPS, ("accepted",)),
    (metrics.PREFLIGHTS, ("passed", "probe_failed", "image_unreachable", "invalid_input")),
    (metrics.VIDEOS, ("stored", "failed", "fal_url")),
    (metrics.EVENT_STREAMS_ENDED, ("finished", "disconnected", "slow", "refused", "erased", "stopping", "too_long")),
    (metrics.WEBHOOK_ATTEMPTS, (DeliveryStatus.DELIVERED, DeliveryStatus.DEAD, "failed")),
    (metrics.WORK_ITEMS_CLAIMED, WorkQueue),
    (metrics.WORK_ITEMS_FAILED, WorkQueue),
    (metrics.NUDGES, WorkQueue, ("sent", "local", "failed")),
)


#: Why a create of a tenant is refused as a rule. The other reasons are rare, and each costs a series per tenant.
_REFUSALS: Final = (*Scope, "over_count", "queue_full")
#: Results of a tenant's generations that are common.
_ENDS: Final = (
    (Status.SUCCEEDED, ""),
    (Status.FAILED, "content_policy"),
    (Status.FAILED, "upstream_rejected"),
    (Status.FAILED, "upstream_timeout"),
    (Status.FAILED, "upstream_unavailable"),
)
#: Tenants of which a gateway has zeros: each has 11 series, and prometheus-client takes 1 ms for 100 lines.
_NEWEST: Final = 200
_MOST_ACTIVE: Final = 300
#: Tenants of the last ``begin_tenants``: a scrape creates the series of the others only.
_begun: Final[set[str]] = set()


@cache
def begin() -> None:
    """Create the series of this process. Only the first call has an effect."""
    metrics.set_build_info()
    for metric, *values in _KNOWN:
        for labels in product(*values):
            metric.labels(*labels)


def begin_tenants(tenant_ids: Collection[str], *, active: Iterable[str] = ()) -> None:
    """Create the series of the newest of these tenants, which are in order of creation, and of the active ones.

    A deleted tenant may be active for the rest of the month: it gets no series.
    """
    newest = islice(reversed(tuple(tenant_ids)), _NEWEST)
    existing = (tenant_id for tenant_id in active if tenant_id in tenant_ids)
    wanted = set[str]()
    for tenant_id in chain(newest, islice(existing, _MOST_ACTIVE)):
        if tenant_id not in _begun and tenant_id not in wanted:
            _begin_tenant(tenant_id)
        wanted.add(tenant_id)
    _begun.clear()
    _begun.update(wanted)


def _begin_tenant(tenant_id: str) -> None:
    """Create what a gateway counts of a tenant."""
    metrics.tenant_series(metrics.CREATED, tenant_id)
    metrics.tenant_series(metrics.REPLAYED, tenant_id)
    for reason in _REFUSALS:
        metrics.tenant_series(metrics.REFUSED, tenant_id, reason)
    for kind, outcome in product(("read", "write"), ("ok", "refused")):
        metrics.tenant_series(metrics.TENANT_REQUESTS, tenant_id, kind, outcome)


def begin_work_of(tenant_id: str) -> None:
    """Create what a worker counts of a tenant, when it submits or polls a generation: before the first one ends."""
    metrics.tenant_series(metrics.COST, tenant_id)
    metrics.tenant_series(metrics.WEBHOOKS_DEAD_LETTERED, tenant_id)
    for status, code in _ENDS:
        metrics.tenant_series(metrics.FINISHED, tenant_id, status, code)
