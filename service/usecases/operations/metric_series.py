"""Series that exist from the first scrape on: a rate needs the zero before the first event, and so does an alert."""

from collections.abc import Iterable
from functools import cache
from itertools import product
from typing import Any, Final, get_args

from service.domain.dispatch_gate import PauseCause
from service.domain.pricing import EstimateReason
from service.domain.status import PUBLIC_TERMINAL, TERMINAL, PublicStatus
from service.domain.webhook import DeliveryStatus
from service.domain.work_queue import WorkQueue
from service.observability import idle_series, metrics, multiprocess
from service.store.generations.callbacks import Reception

_CALLS: Final = ("submit", "status", "result", "cancel")

#: A metric, and for each of its labels the values it is known to take; a tenant's series begin with the tenant.
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
    (metrics.WEBHOOK_ATTEMPTS, (DeliveryStatus.DELIVERED, DeliveryStatus.DEAD, "failed")),
    (metrics.WORK_ITEMS_CLAIMED, WorkQueue),
    (metrics.WORK_ITEMS_FAILED, WorkQueue),
    (metrics.NUDGES, WorkQueue, ("sent", "local", "failed")),
)


@cache
def begin() -> None:
    """Once per process, however often it is called."""
    metrics.tell_build()
    if not multiprocess.counted_together():  # there prometheus-client cannot take a series out
        idle_series.watch()
    for metric, *values in _KNOWN:
        for labels in product(*values):
            metric.labels(*labels)
