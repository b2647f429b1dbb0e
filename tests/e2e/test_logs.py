"""Logs of real processes are JSON in every line until the process ends."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from service.cli.dev.stack import Stack
from tests.e2e.conftest import TenantClient
from tests.guards.repository import ROOT
from tests.support import factories

HUSH = "hush-redis-password"
#: Celery writes this line itself, in its signal handler.
CELERY_OUTPUT = (b"", b"worker: Warm shutdown (MainProcess)")


def test_processes_write_only_json(own_tenant: TenantClient) -> None:
    stack = own_tenant.stack
    made = own_tenant.create()
    own_tenant.ended(made["id"])
    stop_and_restart_redis(stack)
    for name in ("beat", "worker", "gateway"):
        stack.children[name].end()

    logs: dict[str, list[dict[str, Any]]] = {
        name: [
            json.loads(line)
            for line in (stack.folder / f"{name}.log").read_bytes().splitlines()
            if line not in CELERY_OUTPUT
        ]
        for name in ("beat", "worker", "gateway")
    }
    assert all({"event", "level", "timestamp"} <= line.keys() for lines in logs.values() for line in lines)
    for lines in filter(None, logs.values()):  # beat may be stopped before it has started
        assert lines[0]["event"] == "process_started"
        assert {"version", "commit"} <= lines[0].keys()
        assert lines[0]["settings"]["secret_key"] == "[redacted]"
        assert lines[0]["settings"]["redis_url"] == stack.redis.url
        outages = [line["event"] for line in lines if line["event"].endswith("available")]
        assert len(outages) == len(set(outages)), "one line for each outage, and one for its end"
        assert not any("Traceback" in json.dumps(line) for line in lines)
    about = [line for lines in logs.values() for line in lines if line.get("generation_id") == made["id"]]
    moves = [(line["before"], line["status"]) for line in about if line["event"] == "generation_transition"]
    assert {("queued", "submitting"), ("submitting", "submitted")} <= set(moves)
    assert {line["tenant"] for line in about if line["event"] != "callback_received"} == {stack.tenant_id}, (
        "fal does not name the tenant"
    )
    (create,) = (line for line in logs["gateway"] if line.get("status") == 202 and line["event"] == "request")
    assert create["client"] == "127.0.0.1"
    listening = [line["addresses"] for line in logs["gateway"] if line["event"] == "listening"]
    assert set(map(tuple, listening)) == {(f"127.0.0.1:{stack.port}",)}, "once for each start"
    assert stack.api_key.startswith(f"sgk_{create['key_id']}_")
    assert any("uvicorn" in line.get("logger", "") for line in logs["gateway"]), "including lines of libraries"
    assert any("celery" in line.get("logger", "") for line in logs["worker"])


def stop_and_restart_redis(stack: Stack) -> None:
    """Worker and beat notice that Redis is gone, and that it is back."""
    stack.redis.kill()
    wait_for_lines(stack, "unavailable")
    stack.redis.restart()
    wait_for_lines(stack, "available")


def wait_for_lines(stack: Stack, state: str) -> None:
    for name, server in (("worker", "broker"), ("worker", "redis"), ("beat", "redis")):
        has_line = partial(is_logged, stack.folder / f"{name}.log", f"{server}_{state}")
        stack.children[name].wait_until(has_line)


def is_logged(path: Path, event: str) -> bool:
    return f'"event":"{event}"' in path.read_text()


@pytest.mark.parametrize("thread", [False, True], ids=["process", "thread"])
def test_uncaught_exception_is_logged_and_redacted(thread: bool) -> None:
    settings = factories.settings(f"redis://:{HUSH}@127.0.0.1:9/0")
    code = f"""
import threading
import service.app
service.app.from_environment()
def fail():
    raise RuntimeError("redis://:{HUSH}@127.0.0.1:9/0 and also {HUSH}")
if {thread}:
    other = threading.Thread(target=fail)
    other.start()
    other.join()
else:
    fail()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **settings.environment()},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    line = json.loads(done.stderr.splitlines()[-1])
    assert (done.returncode, line["event"], line["level"]) == (0 if thread else 1, "exception_uncaught", "critical")
    assert "RuntimeError" in line["exception"]
    assert HUSH not in done.stderr + done.stdout


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_log_to_full_disk_does_not_stop_the_process(unbuffered: str) -> None:
    """A log collector that has ended causes the same error."""
    code = """
import asyncio
import logging
from service.observability import log
log.configure("INFO")
async def work():
    asyncio.get_running_loop().call_soon(log.get("gateway").info, "x" * 20_000)
    await asyncio.sleep(0)
    logging.getLogger("library").error("x" * 20_000)
asyncio.run(work())
print("done")
"""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            check=False,
        )

    assert done.stdout == "done\n"


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_lines_of_threads_are_not_mixed(unbuffered: str) -> None:
    """Each line is larger than a pipe, so that each write blocks before its end."""
    code = """
import logging
import threading
from service.observability import log
log.configure("INFO")
def gateway():
    for _ in range(30):
        log.get("gateway").info("x" * 100_000)
def library():
    for _ in range(30):
        logging.getLogger("library").error("y" * 100_000)
threads = [threading.Thread(target=work) for work in (gateway, gateway, library)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        cwd=ROOT,
        stderr=subprocess.PIPE,
        check=True,
    )

    assert [len(json.loads(line)["event"]) for line in done.stderr.splitlines()] == [100_000] * 90
