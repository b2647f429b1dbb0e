"""What a process counts, as Prometheus reads it; of gateway processes that share a port, what all of them count."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

#: prometheus-client's own: where processes that count together keep their numbers. Read when it is imported.
FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"


def counted_together() -> bool:
    return FOLDER in os.environ


@contextmanager
def counting_together() -> Iterator[None]:
    """For the parent of processes that share a port: a scrape reaches any of them, and must be told of all."""
    with tempfile.TemporaryDirectory(prefix="seedance-gateway-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER]


def text() -> bytes:
    if not counted_together():
        return generate_latest()
    _forget_the_dead(Path(os.environ[FOLDER]))
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _forget_the_dead(folder: Path) -> None:
    """What a process held when it was killed is held no more; what it counted stays."""
    for file in folder.glob("gauge_live*.db"):  # prometheus-client's own names: of a mode, then of a process
        if not _is_there(int(file.stem.rpartition("_")[2])):
            file.unlink(missing_ok=True)  # the others look too


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
