"""``process_*`` of several processes: one family of each name, and a series for each process."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from service.observability.process_metrics import ProcessMetrics

_HIDING = "import service.process_memory as m, sys; m.protect(); print(1, flush=True); sys.stdin.read()"


@pytest.fixture
def hidden() -> Iterator[int]:
    """Return the id of a process whose list of files other processes of its user cannot read."""
    with subprocess.Popen([sys.executable, "-c", _HIDING], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


def test_each_process_has_series_with_its_id(hidden: int) -> None:
    registry = CollectorRegistry()
    registry.register(ProcessMetrics(lambda: [os.getpid(), hidden]))

    families = list(text_string_to_metric_families(generate_latest(registry).decode()))

    names = [family.name for family in families]
    assert len(names) == len(set(names)) >= 6
    for family in families:
        assert {sample.labels["pid"] for sample in family.samples} == {str(os.getpid()), str(hidden)}, family.name
        assert all(sample.value > 0 for sample in family.samples), family.name


def test_ended_process_has_no_series() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    registry = CollectorRegistry()
    registry.register(ProcessMetrics(lambda: [process.pid]))

    assert generate_latest(registry) == b""
