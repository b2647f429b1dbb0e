"""The metrics of this process as text. Gateway processes that share a port return the sum of all of them."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from service.observability.process_metrics import ProcessMetrics

#: The variable of prometheus-client that names the folder of shared metrics. It is read at import.
FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"


def is_shared() -> bool:
    return FOLDER in os.environ


@contextmanager
def sharing_metrics() -> Iterator[None]:
    """Share metrics between the child processes. They share a port, so that a scrape reaches any one of them."""
    with tempfile.TemporaryDirectory(prefix="seedance-gateway-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER]


def text() -> bytes:
    if not is_shared():
        return generate_latest()
    folder = Path(os.environ[FOLDER])
    _remove_ended(folder)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(ProcessMetrics(lambda: _running(folder)))
    return generate_latest(registry)


def _remove_ended(folder: Path) -> None:
    """Remove the gauges of processes that were killed. Their counters stay."""
    for file in folder.glob("gauge_live*.db"):  # prometheus-client's file names: mode and process id
        if not _is_running(_pid(file)):
            file.unlink(missing_ok=True)  # other processes remove it too


def _running(folder: Path) -> set[int]:
    return {pid for pid in map(_pid, folder.glob("*.db")) if _is_running(pid)}


def _pid(file: Path) -> int:
    return int(file.stem.rpartition("_")[2])


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
