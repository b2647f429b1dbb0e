"""The receivers of the documents, run unchanged: they accept signed events and refuse all others."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import WebhookVerificationError

from service.cli.dev.child_processes import accepts, free_port
from service.domain.signing import SigningKey, new_secret, rotated, signed_headers
from tests.guards.repository import README, ROOT

BODY = b'{"type":"webhook.test","timestamp":"2026-01-31T09:30:00.000Z","data":{"id":"whe_1"}}'
SECRET = new_secret()
PAGE = ROOT / "docs/how-to/webhooks.md"


def snippet(document: Path, language: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", document.read_text(), re.DOTALL)
    (block,) = [block for block in blocks if "standardwebhooks" in block]
    return str(block).replace("whsec_...", SECRET)


@contextmanager
def running(command: list[str], folder: Path, port: int) -> Iterator[Path]:
    """Yields the file with the output of the program."""
    output = folder / "output"
    with output.open("w") as out:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "PYTHONUNBUFFERED": "1"}, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        until(lambda: accepts(port), output)
        yield output
    finally:
        process.kill()
        process.wait(10)


def until(happened: Callable[[], bool], output: Path) -> None:
    give_up = time.monotonic() + 90
    while not happened():
        assert time.monotonic() < give_up, output.read_text()
        time.sleep(0.02)


def status(port: int, headers: dict[str, str], body: bytes = BODY) -> int:
    return httpx.post(f"http://127.0.0.1:{port}/", content=body, headers=headers, trust_env=False).status_code


#: What another sender may send in place of the signature.
FORGED = ("", "v1", "v1,", "v1,@@@", "v1,AAAA", "v1,a,b", "v2,AAAA", "garbage", "v1 , x", "v1a,AAAA v1,b")


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_receiver_of_the_webhooks_page(language: str, tmp_path: Path, javascript: Path) -> None:
    port, now = free_port(), datetime.now(UTC)
    folder = javascript if language == "javascript" else tmp_path
    program = folder / f"receiver.{language}"
    program.write_text(snippet(PAGE, language).replace("9000", str(port)))
    command = ["node", str(program)] if language == "javascript" else [sys.executable, str(program)]
    with running(command, folder, port) as output:
        assert status(port, signed_headers(SECRET, "msg_1", BODY, now)) == 204
        until(lambda: "webhook.test whe_1" in output.read_text(), output)
        both = rotated((SigningKey(SECRET),), SigningKey(new_secret()), overlap=timedelta(hours=1), now=now)
        assert status(port, signed_headers(both, "msg_2", BODY, now)) == 204, "during a rotation"
        assert status(port, signed_headers(new_secret(), "msg_3", BODY, now)) == 400
        assert status(port, {}) == 400
        assert status(port, {}, b"") == 400
        signed = signed_headers(SECRET, "msg_4", BODY, now)
        for forged in FORGED:
            assert status(port, {**signed, "webhook-signature": forged}) == 400, forged
        for forged in ("", "0", "x", "1e400", "99999999999"):
            assert status(port, {**signed, "webhook-timestamp": forged}) == 400, forged
        assert status(port, signed, b"\xff" + BODY) == 400
        assert status(port, signed_headers(SECRET, "msg_5", BODY, now)) == 204, "it still runs"
        assert "Traceback" not in output.read_text()


def test_receiver_of_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(compile(snippet(README, "python"), str(README), "exec"), names)  # noqa: S102 - this project's own README

    names["received"](BODY.decode(), signed_headers(SECRET, "msg_1", BODY, datetime.now(UTC)))

    assert capsys.readouterr().out == "webhook.test whe_1\n"
    with pytest.raises(WebhookVerificationError):
        names["received"](BODY.decode(), signed_headers(new_secret(), "msg_1", BODY, datetime.now(UTC)))
