"""Series of tenants that do nothing any more leave a process, so that they do not pile up until it ends."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.observability import metrics

#: A counter that stood still for so long is taken out; should it count again, Prometheus sees it begin at zero.
IDLE_SECONDS: Final = 24 * 3600.0


class IdleSeries(Collector):
    """Looks, whenever the process' metrics are asked for, at those with a tenant; has none of its own."""

    def __init__(
        self,
        counters: Iterable[Counter],
        *,
        idle_seconds: float = IDLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counters = tuple(counters)
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._seen: dict[tuple[Counter, tuple[str, ...]], float] = {}
        self._next = clock() + idle_seconds
        self._looking = threading.Lock()

    def describe(self) -> list[Metric]:  # else registering it would collect
        return []

    def collect(self) -> Iterator[Metric]:
        with self._looking:
            if self._clock() >= self._next:
                self._next = self._clock() + self._idle_seconds
                self._forget()
        return iter(())

    def _forget(self) -> None:
        """Those whose value is what it was at the last look."""
        before, self._seen = self._seen, dict(_values(self._counters))
        for (counter, labels), value in list(self._seen.items()):
            if before.get((counter, labels)) == value:
                counter.remove(*labels)
                del self._seen[counter, labels]


def _values(counters: Iterable[Counter]) -> Iterator[tuple[tuple[Counter, tuple[str, ...]], float]]:
    for counter in counters:
        for metric in counter.collect():
            for sample in metric.samples:
                yield (counter, tuple(sample.labels.values())), sample.value


def of_tenants() -> list[Counter]:
    every = [value for value in vars(metrics).values() if isinstance(value, Counter)]
    return [counter for counter in every if "tenant" in counter._labelnames]  # noqa: SLF001  (it tells nobody else)


def watch(registry: CollectorRegistry = REGISTRY) -> None:
    registry.register(IdleSeries(of_tenants()))
