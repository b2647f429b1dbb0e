"""``seedance-gateway listen``: a real process that verifies webhooks."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from service.cli.dev.child_processes import accepts, free_port
from service.domain.signing import new_secret, signed_headers

SECRET = new_secret()
BODY = b'{"type":"webhook.test","timestamp":"2026-01-31T09:30:00.000Z","data":{"id":"whe_1"}}'


class Listener:
    """A real process, and its output so far."""

    def __init__(self, log: Path, *options: str) -> None:
        self.port, self._log = free_port(), log
        command = [sys.executable, "-u", "-m", "service.cli", "listen", "--port", str(self.port), *options]
        environment = {**os.environ, "WEBHOOK_SECRET": SECRET}
        with log.open("w") as out:
            self.process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
        self.until("Listening")
        assert accepts(self.port)

    def until(self, text: str) -> None:
        give_up = time.monotonic() + 90
        while text not in self.output():
            assert time.monotonic() < give_up, self.output()
            time.sleep(0.02)

    def output(self) -> str:
        return self._log.read_text()

    def post(self, secret: str = SECRET) -> int:
        headers = signed_headers(secret, "msg_1", BODY, datetime.now(UTC))
        url = f"http://127.0.0.1:{self.port}/any/path"
        return httpx.post(url, content=BODY, headers=headers, trust_env=False).status_code

    def end(self) -> None:
        self.process.terminate()
        assert self.process.wait(timeout=240) == 0, self.output()


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Callable[..., Listener]]:
    running: list[Listener] = []

    def started(*options: str) -> Listener:
        running.append(Listener(tmp_path / "output", *options))
        return running[-1]

    yield started
    for each in running:
        each.end()


Listen = Callable[..., Listener]


def test_listen_shows_verified_event(listen: Listen) -> None:
    listener = listen()
    assert listener.post() == 204
    listener.until("whe_1")
    assert "webhook.test" in listener.output()
    listener.end()
    listener.until("Stopping.")
    assert SECRET not in listener.output()


def test_listen_wrong_signature_is_refused_and_shown(listen: Listen) -> None:
    listener = listen()
    assert listener.post(new_secret()) == 400
    listener.until("signature is wrong")
    assert "whe_1" not in listener.output()


def test_listen_status_option_sets_response(listen: Listen) -> None:
    listener = listen("--status", "503")
    assert listener.post() == 503
    listener.until("webhook.test")


@pytest.mark.parametrize("secret", ["whsec_?", "whsec_x", "", "nope"])
def test_listen_invalid_secret_exits_2(secret: str) -> None:
    command = [sys.executable, "-m", "service.cli", "listen", "--port", str(free_port()), "--secret", secret]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_listen_occupied_port_exits_2(listen: Listen) -> None:
    listener = listen()
    command = [sys.executable, "-m", "service.cli", "listen", "--port", str(listener.port), "--secret", SECRET]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert (result.returncode, f"Port {listener.port}" in result.stderr) == (2, True)
