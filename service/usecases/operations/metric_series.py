"""Series that exist at 0 before their first event.

``rate`` and ``increase`` see nothing of the event that creates a series.
"""

from collections.abc import Collection, Iterable
from functools import cache
from itertools import islice, product
from typing import Any, Final, get_args

from service.domain.budgets import Scope
from service.domain.dispatch_gate import PauseCause
from service.domain.pricing import EstimateReason
from service.domain.status import PUBLIC_TERMINAL, TERMINAL, PublicStatus
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
    (metrics.IMAGES, ("accepted",)),
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
#: The newest tenants, of which a gateway has zeros: each has 7 series, and prometheus-client takes 1 ms for 100 lines.
_MOST_TENANTS: Final = 200


@cache
def begin() -> None:
    """Create the series of this process. Only the first call has an effect."""
    metrics.set_build_info()
    for metric, *values in _KNOWN:
        for labels in product(*values):
            metric.labels(*labels)


def begin_tenants(tenant_ids: Collection[str]) -> None:
    """Create the series of the newest of these tenants, which are in order of their creation."""
    for tenant_id in islice(reversed(tuple(tenant_ids)), _MOST_TENANTS):
        _begin_tenant(tenant_id)


@cache
def _begin_tenant(tenant_id: str) -> None:
    metrics.CREATED.labels(tenant_id)
    metrics.REPLAYED.labels(tenant_id)
    for reason in _REFUSALS:
        metrics.REFUSED.labels(tenant_id, reason)
