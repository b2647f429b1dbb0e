"""What real processes write: JSON, line by line, from the first to the last, whatever ends them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import TenantClient
from tests.guards.repository import ROOT
from tests.support import factories

HUSH = "hush-redis-password"
#: Celery writes this to the terminal itself, from within its signal handler.
CELERYS_OWN = (b"", b"worker: Warm shutdown (MainProcess)")


def test_every_process_writes_json_and_nothing_else(own_tenant: TenantClient) -> None:
    stack = own_tenant.stack
    made = own_tenant.create()
    own_tenant.ended(made["id"])
    for name in ("beat", "worker", "gateway"):
        stack.children[name].end()

    told: dict[str, list[dict[str, Any]]] = {
        name: [
            json.loads(line)
            for line in (stack.folder / f"{name}.log").read_bytes().splitlines()
            if line not in CELERYS_OWN
        ]
        for name in ("beat", "worker", "gateway")
    }
    assert all({"event", "level", "timestamp"} <= line.keys() for lines in told.values() for line in lines)
    for lines in filter(None, told.values()):  # beat may be ended before it has begun
        assert lines[0]["event"] == "process_started"
        assert {"version", "commit"} <= lines[0].keys()
    about = [line for lines in told.values() for line in lines if line.get("generation_id") == made["id"]]
    moves = [(line["before"], line["status"]) for line in about if line["event"] == "generation_transition"]
    assert {("queued", "submitting"), ("submitting", "submitted")} <= set(moves)
    assert {line["tenant"] for line in about if line["event"] != "callback_received"} == {stack.tenant_id}, (
        "fal does not say whose"
    )
    assert any("uvicorn" in line.get("logger", "") for line in told["gateway"]), "libraries' lines too"
    assert any("celery" in line.get("logger", "") for line in told["worker"])


@pytest.mark.parametrize("thread", [False, True], ids=["process", "thread"])
def test_what_ends_a_process_is_a_line_without_its_secrets(thread: bool) -> None:
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
def test_a_log_that_takes_nothing_ends_nobodys_work(unbuffered: str) -> None:
    """A full disk; a collector that died looks the same."""
    code = """
import asyncio
import logging
from service.observability import log
log.configure("INFO")
async def work():
    asyncio.get_running_loop().call_soon(log.get("ours").info, "x" * 20_000)
    await asyncio.sleep(0)
    logging.getLogger("theirs").error("x" * 20_000)
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
def test_lines_of_threads_are_whole(unbuffered: str) -> None:
    """Larger than a pipe holds, so that each write has to wait in its midst."""
    code = """
import logging
import threading
from service.observability import log
log.configure("INFO")
def ours():
    for _ in range(30):
        log.get("ours").info("x" * 100_000)
def theirs():
    for _ in range(30):
        logging.getLogger("theirs").error("y" * 100_000)
threads = [threading.Thread(target=work) for work in (ours, ours, theirs)]
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
