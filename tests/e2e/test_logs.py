"""What real processes write: JSON, line by line, from the first to the last, whatever ends them."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests import factories
from tests.e2e.conftest import TenantClient
from tests.guards.repository import ROOT

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
    about = [line for lines in told.values() for line in lines if line.get("generation_id") == made["id"]]
    moves = [(line["before"], line["status"]) for line in about if line["event"] == "generation moved"]
    assert {("queued", "submitting"), ("submitting", "submitted")} <= set(moves)
    assert {line["tenant"] for line in about if line["event"] != "callback"} == {stack.tenant_id}, (
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
    assert (done.returncode, line["event"], line["level"]) == (0 if thread else 1, "uncaught", "critical")
    assert "RuntimeError" in line["exception"]
    assert HUSH not in done.stderr + done.stdout
