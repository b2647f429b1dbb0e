"""The doctor on a running stack, and the heartbeats and health checks of processes."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from service.cli.dev.child_processes import Child, free_port
from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES


def doctor(stack: Stack) -> dict[str, str]:
    command = [sys.executable, "-m", "service.cli", "doctor", "--json"]
    result = subprocess.run(
        command, env={**os.environ, **stack.environment}, capture_output=True, text=True, check=False, timeout=240
    )
    answer = json.loads(result.stdout)
    assert result.returncode == (0 if answer["healthy"] else 1)
    return {finding["check"]: finding["status"] for finding in answer["findings"]}


def wait_for_findings(stack: Stack, condition: Callable[[dict[str, str]], Any]) -> dict[str, str]:
    deadline = time.monotonic() + 90
    while not condition(found := doctor(stack)):
        assert time.monotonic() < deadline, found
    return found


def test_doctor_running_stack_is_healthy(stack: Stack) -> None:
    found = wait_for_findings(stack, lambda found: "fail" not in found.values())
    assert {check for check, status in found.items() if status != "ok"} == {
        "operators",  # none exists yet
        "public URL",  # without TLS
        "spending limits",
    }


@pytest.fixture
def idle_stack() -> Iterator[Stack]:
    with Stack(worker=False, overrides=OVERRIDES) as running:
        yield running


@contextmanager
def running(stack: Stack, *arguments: str) -> Iterator[int]:
    """Run a command of the gateway with its own metrics port. It must stop on SIGTERM."""
    port = free_port()
    child = Child(
        arguments[0],
        [sys.executable, "-m", "service.cli", *arguments],
        log=stack.folder / f"own-{arguments[0]}.log",
        environment={**stack.environment, "GATEWAY_METRICS_PORT": str(port)},
    )
    try:
        child.wait_until(lambda: _healthy(port))
        yield port
    finally:
        status = child.end()
    assert status == 0, child.log_tail()


def _healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).is_success
    except httpx.HTTPError:
        return False


def test_worker_and_beat_commands_send_heartbeats(idle_stack: Stack) -> None:
    found = doctor(idle_stack)
    assert {found[check] for check in ("beat", "workers of dispatch", "workers of maintenance")} == {"fail"}
    with running(idle_stack, "worker", "--queues", "webhooks,maintenance") as port, running(idle_stack, "beat"):
        found = wait_for_findings(idle_stack, lambda found: found["beat"] == found["workers of webhooks"] == "ok")
        assert (found["workers of dispatch"], found["workers of maintenance"]) == ("fail", "ok")
        assert "gateway_work_items_claimed_total" in httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
