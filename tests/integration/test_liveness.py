"""Probes of processes that serve nothing: answered while what they are for goes on."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from service import liveness
from service.liveness import Pulse


def test_alive_from_the_first_beat_until_silence() -> None:
    now = 1000.0
    pulse = Pulse(longest_silence=30, clock=lambda: now)
    assert [pulse.alive] == [False]
    pulse.beat(sender="whatever a signal brings")
    now += 30
    assert [pulse.alive] == [True]
    now += 0.1
    assert [pulse.alive] == [False]


@pytest.fixture
def pulse() -> Pulse:
    return Pulse(longest_silence=30)


@pytest.fixture
def url(pulse: Pulse) -> Iterator[str]:
    server = liveness.serve(pulse, host="127.0.0.1", port=0)
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_orchestrator_hears_of_it(pulse: Pulse, url: str) -> None:
    with httpx.Client(base_url=url) as client:
        assert client.get("/healthz").status_code == 503
        pulse.beat()
        assert client.get("/healthz").status_code == 200
        assert "gateway_drained_total" in client.get("/metrics").text


def test_a_client_that_says_nothing_holds_up_nobody(pulse: Pulse, url: str) -> None:
    pulse.beat()
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))):
        assert httpx.get(f"{url}/healthz", timeout=5).status_code == 200
