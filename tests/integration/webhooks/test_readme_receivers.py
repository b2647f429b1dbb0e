"""The README's receivers, run as they stand there: they take what we sign and refuse everything else."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from service.cli.dev.child_processes import accepts, free_port
from service.domain.signing import SigningKey, new_secret, rotated, signed_headers
from tests.guards.repository import README

BODY = b'{"type":"webhook.test","timestamp":"2026-01-31T09:30:00.000Z","data":{"id":"whe_1"}}'
SECRET = new_secret()


def snippet(language: str, port: int) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    (block,) = [block for block in blocks if "standardwebhooks" in block]
    return str(block).replace("whsec_...", SECRET).replace("9000", str(port))


@contextmanager
def running(command: list[str], folder: Path, port: int) -> Iterator[Path]:
    """What it prints goes to a file."""
    told = folder / "told"
    with told.open("w") as out:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "PYTHONUNBUFFERED": "1"}, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        until(lambda: accepts(port), told)
        yield told
    finally:
        process.kill()
        process.wait(10)


def until(happened: Callable[[], bool], told: Path) -> None:
    give_up = time.monotonic() + 90
    while not happened():
        assert time.monotonic() < give_up, told.read_text()
        time.sleep(0.02)


def status(port: int, headers: dict[str, str]) -> int | None:
    """None: it hung up."""
    try:
        return httpx.post(f"http://127.0.0.1:{port}/", content=BODY, headers=headers, trust_env=False).status_code
    except httpx.RemoteProtocolError:
        return None


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_the_receiver(language: str, tmp_path: Path, javascript: Path) -> None:
    port, now = free_port(), datetime.now(UTC)
    folder = javascript if language == "javascript" else tmp_path
    program = folder / f"receiver.{language}"
    program.write_text(snippet(language, port))
    command = ["node", str(program)] if language == "javascript" else [sys.executable, str(program)]
    with running(command, folder, port) as told:
        assert status(port, signed_headers(SECRET, "msg_1", BODY, now)) == 204
        until(lambda: "webhook.test whe_1" in told.read_text(), told)
        both = rotated((SigningKey(SECRET),), SigningKey(new_secret()), overlap=timedelta(hours=1), now=now)
        assert status(port, signed_headers(both, "msg_2", BODY, now)) == 204, "during a rotation"
        assert status(port, signed_headers(new_secret(), "msg_3", BODY, now)) in (400, None)
        assert status(port, {}) in (400, None)
