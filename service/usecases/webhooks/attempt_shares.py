"""Attempts of this process by tenant and kind of receiver: none of them can have the whole capacity."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from prometheus_client import Gauge

from service.observability import metrics
from service.store.queues.due import Claimed
from service.store.webhooks.deliveries import Capacity


class AttemptShares:
    """Counts attempts from their claim to their end.

    Receivers that are not proven have one part of the capacity together, however many there are: the rest stays for
    proven receivers. Of what is free a tenant may have a part. The more tenants have their part, the smaller the next
    one is, so that capacity stays free for a tenant without attempts.
    """

    def __init__(self, capacity: int, *, tenant_share: float, unproven_share: float) -> None:
        self._capacity: Final = capacity
        self._unproven_capacity: Final = max(1, int(capacity * unproven_share))
        self._tenant_share: Final = tenant_share
        self._under_way = Counter[tuple[str, bool]]()

    @property
    def capacity(self) -> Capacity:
        """What is left, for a claim."""
        unproven = sum(count for (_, proven), count in self._under_way.items() if not proven)
        left = self._capacity - self._under_way.total()
        return Capacity(left, min(left, self._unproven_capacity - unproven), self._tenant_share, self._under_way)

    def begin(self, claimed: Sequence[Claimed]) -> None:
        """Count claimed deliveries, before their attempts start: the next claim may come first."""
        self._under_way.update(map(_share, claimed))
        for item in claimed:
            _open(item).inc()

    def end(self, item: Claimed) -> None:
        _open(item).dec()
        share = _share(item)
        self._under_way[share] -= 1
        if not self._under_way[share]:
            del self._under_way[share]


def _open(item: Claimed) -> Gauge:
    return metrics.WEBHOOK_ATTEMPTS_OPEN.labels("proven" if item.is_proven else "unproven")


def _share(item: Claimed) -> tuple[str, bool]:
    return item.queue_name.partition(":")[0], item.is_proven
