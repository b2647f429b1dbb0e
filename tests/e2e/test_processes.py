"""Several gateway processes on one port: a scrape reaches any of them, and returns the metrics of all."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.cli.dev.child_processes import Child, accepts, free_port
from service.cli.dev.stack import Stack

_CALLS = 40


class Gateways(NamedTuple):
    url: str
    metrics_url: str
    parent: Child


@pytest.fixture(scope="module")
def gateways(stack: Stack) -> Iterator[Gateways]:
    """Three gateways of the stack, which share a port and a metrics port. The last test kills them."""
    port, metrics_port = free_port(), free_port()
    environment = {**stack.environment, "GATEWAY_METRICS_PORT": str(metrics_port)}
    command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port), "--workers", "3"]
    child = Child("gateways", command, log=stack.folder / "gateways.log", environment=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        child.wait_until(lambda: accepts(port) and httpx.get(f"{url}/readyz", trust_env=False).is_success)
        yield Gateways(url, f"http://127.0.0.1:{metrics_port}/metrics", child)
    finally:
        child.end()


def samples(metrics_url: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = httpx.get(metrics_url, trust_env=False).raise_for_status().text
    read = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in read}
    assert len(found) == len(read), "no series occurs twice"
    return found


def test_metrics_of_any_process_sum_all_processes(gateways: Gateways) -> None:
    wrote = {"x-forwarded-for": "198.51.100.7"}
    for _ in range(_CALLS):  # each over a new connection, to any of the processes
        assert httpx.get(f"{gateways.url}/v1/generations", headers=wrote, trust_env=False).status_code == 401

    log = gateways.parent.log.read_text()
    assert '"client":"127.0.0.1"' in log
    assert wrote["x-forwarded-for"] not in log, (
        "without trusted proxies, a client on this machine is not believed either"
    )
    labels = (("method", "GET"), ("route", "/v1/generations"), ("status", "401"))
    counts = [samples(gateways.metrics_url)["gateway_http_request_seconds_count", labels] for _ in range(6)]

    assert counts == [_CALLS] * 6
    assert httpx.get(f"{gateways.url}/metrics", trust_env=False).status_code == 404
    assert sum(name == "gateway_slots_used" for name, _ in samples(gateways.metrics_url)) == 1
    assert samples(gateways.metrics_url)["gateway_event_streams", ()] == 0
    for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds"):
        of_each = {
            dict(labels)["pid"]: value
            for (found, labels), value in samples(gateways.metrics_url).items()
            if found == f"process_{name}"
        }
        assert {str(pid) for pid in below(gateways.parent.pid)} <= of_each.keys(), name
        assert all(value > 0 for value in of_each.values()), of_each


def test_paused_process_is_not_replaced(gateways: Gateways) -> None:
    """On a busy machine, a process may run for a few seconds not at all, above all while it starts."""
    reached(lambda: len(below(gateways.parent.pid)) == 3)
    before = below(gateways.parent.pid)
    paused = min(before)
    os.kill(paused, signal.SIGSTOP)
    try:
        time.sleep(7)  # longer than the 5 seconds after which uvicorn replaces a process
    finally:
        os.kill(paused, signal.SIGCONT)
    assert below(gateways.parent.pid) == before


def below(pid: int) -> set[int]:
    """Return the gateways that the parent has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()}


def reached(goal: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 240
    while not goal():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def waiting_calls(metrics_url: str) -> float | None:
    with suppress(httpx.TransportError):  # the process that accepts the connection may be stopping
        return samples(metrics_url)["gateway_waiting_calls", ()]
    return None


def test_metrics_gauge_of_dead_process_is_removed(gateways: Gateways, stack: Stack) -> None:
    url, metrics_url, child = gateways
    with httpx.Client(
        base_url=url, headers={"authorization": f"Bearer {stack.api_key}"}, timeout=60, trust_env=False
    ) as client:
        body = {"prompt": "sandbox:hang held", "image_url": "https://v3b.fal.media/a.jpg"}
        g = client.post("/v1/generations", json=body).raise_for_status().json()

        def wait() -> None:
            with suppress(httpx.TransportError):
                while client.get(f"/v1/generations/{g['id']}", params={"wait": 50}).is_success:
                    """The status changes a few times before the job hangs."""

        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        reached(lambda: waiting_calls(metrics_url) == 1)
        before = below(child.pid)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        waiting.join(20)
        reached(lambda: len(below(child.pid) - before) == len(before))
        reached(lambda: waiting_calls(metrics_url) is not None)

        assert waiting_calls(metrics_url) == 0
        client.post(f"/v1/generations/{g['id']}/cancel").raise_for_status()
