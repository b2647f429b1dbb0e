"""Probes of processes that serve nothing: answered while what they are for goes on."""

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


def test_alive_from_the_first_beat_until_silence() -> None:
    now = 1000.0
    pulse = LivenessProbe(longest_silence=30, clock=lambda: now)
    assert [pulse.alive] == [False]
    pulse.beat(sender="whatever a signal brings")
    now += 30
    assert [pulse.alive] == [True]
    now += 0.1
    assert [pulse.alive] == [False]


@pytest.fixture
def pulse() -> LivenessProbe:
    return LivenessProbe(longest_silence=30)


@pytest.fixture
def url(pulse: LivenessProbe) -> Iterator[str]:
    server = health_server.serve(pulse, host="127.0.0.1", port=0)
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_orchestrator_hears_of_it(pulse: LivenessProbe, url: str) -> None:
    with httpx.Client(base_url=url) as client:
        assert client.get("/healthz").status_code == 503
        pulse.beat()
        assert client.get("/healthz").status_code == 200
        assert "gateway_work_items_claimed_total" in client.get("/metrics").text


def test_beat_is_alive_though_its_broker_is_away(tmp_path: Path) -> None:
    """A restart would heal nothing, and an orchestrator that restarts it waits ever longer before it does."""
    port = free_port()
    settings = factories.settings("redis://127.0.0.1:9/0", metrics_port=port)
    command = [sys.executable, "-m", "service.cli", "beat"]
    child = Child("beat", command, log=tmp_path / "beat.log", environment=settings.environment())

    def is_alive() -> bool:
        return accepts(port) and httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).is_success

    try:
        child.wait_until(is_alive)
        child.wait_until(lambda: "broker_unavailable" in child.story())
        assert is_alive()
    finally:
        child.end()


def test_a_client_that_says_nothing_holds_up_nobody(pulse: LivenessProbe, url: str) -> None:
    pulse.beat()
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))):
        assert httpx.get(f"{url}/healthz", timeout=5).status_code == 200
