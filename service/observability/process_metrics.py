"""``process_*`` of several processes that serve one ``/metrics``, with their ids as a label.

prometheus-client leaves these metrics out when processes share theirs. A sum would not do: the CPU time of a process
that ended would leave the sum, and its decrease looks like a restart of the counter.
"""

import resource
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client import Metric, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class ProcessMetrics(Collector):
    """``pids`` returns the ids of the processes at the time of a scrape."""

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        self._pids = pids

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for pid in sorted(self._pids()):
            for found in _of_process(pid):
                family = families.setdefault(found.name, Metric(found.name, found.documentation, found.type))
                for sample in found.samples:
                    family.add_sample(sample.name, {**sample.labels, "pid": str(pid)}, sample.value)
        yield from families.values()


def _of_process(pid: int) -> Iterator[Metric]:
    found = list(ProcessCollector(pid=lambda: pid, registry=None).collect())
    yield from found
    if found and "process_open_fds" not in {metric.name for metric in found}:
        yield from _files_of_another(pid)


def _files_of_another(pid: int) -> Iterator[Metric]:
    """Return the open files of a process whose list cannot be read, as of each that is not dumpable.

    Since Linux 6.2, the size of the folder is the number of its entries. Processes of one ``serve`` have one limit.
    """
    with suppress(OSError):
        if count := Path(f"/proc/{pid}/fd").stat().st_size:
            yield GaugeMetricFamily("process_open_fds", "Number of open file descriptors.", value=count)
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            yield GaugeMetricFamily("process_max_fds", "Maximum number of open file descriptors.", value=limit)
