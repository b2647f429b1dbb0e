"""The health server of workers and beat: alive while their work makes progress."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.cli.dev.child_processes import Child, accepts, free_port
from service.observability import health_server
from service.observability.health_server import LivenessProbe
from tests.support import factories


def test_liveness_from_first_touch_until_silence() -> None:
    now = 1000.0
    probe = LivenessProbe(longest_silence=30, clock=lambda: now)
    assert [probe.alive] == [False]
    probe.touch(sender="an argument of a signal")
    now += 30
    assert [probe.alive] == [True]
    now += 0.1
    assert [probe.alive] == [False]


@pytest.fixture
def probe() -> LivenessProbe:
    return LivenessProbe(longest_silence=30)


@pytest.fixture
def url(probe: LivenessProbe) -> Iterator[str]:
    server = health_server.serve(probe, host="127.0.0.1", port=0)
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_healthz_follows_liveness(probe: LivenessProbe, url: str) -> None:
    with httpx.Client(base_url=url) as client:
        assert client.get("/healthz").status_code == 503
        probe.touch()
        assert client.get("/healthz").status_code == 200
        assert "gateway_work_items_claimed_total" in client.get("/metrics").text
        assert client.get("/other").status_code == 404


def test_beat_stays_alive_without_broker(tmp_path: Path) -> None:
    """A restart would not help, and an orchestrator waits longer before each restart."""
    port = free_port()
    settings = factories.settings("redis://127.0.0.1:9/0", metrics_port=port)
    command = [sys.executable, "-m", "service.cli", "beat"]
    child = Child("beat", command, log=tmp_path / "beat.log", environment=settings.environment())

    def is_alive() -> bool:
        return accepts(port) and httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).is_success

    try:
        child.wait_until(is_alive)
        child.wait_until(lambda: "broker_unavailable" in child.log_tail())
        assert is_alive()
    finally:
        child.end()


def test_silent_client_does_not_block_healthz(probe: LivenessProbe, url: str) -> None:
    probe.touch()
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))):
        assert httpx.get(f"{url}/healthz", timeout=5).status_code == 200
