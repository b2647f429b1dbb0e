"""One job, created once and read with the unmodified SDK of every API: the same id, state, cost and video."""

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from service.cli.dev.stack import Stack
from tests.clients.tools import node_environment, python_environment, run
from tests.e2e.fal.conftest import tls_gateway

HERE = Path(__file__).parent
PROGRAMS = HERE.parent
BODY = {
    "prompt": "sandbox:no-video sandbox:seconds=0.2 one job",
    "image_url": "https://v3b.fal.media/files/b/x/rocket.jpg",
    "resolution": "480p",
    "duration": 4,
}


def succeeded(stack: Stack) -> Any:
    """Create a generation, and return it after its end."""
    headers = {"authorization": f"Bearer {stack.api_key}"}
    with httpx.Client(base_url=stack.base_url, headers=headers, timeout=90, trust_env=False) as client:
        made = client.post("/v1/generations", json=BODY).raise_for_status().json()
        give_up = time.monotonic() + 300
        while made["status"] not in ("succeeded", "failed", "canceled"):
            assert time.monotonic() < give_up, made
            made = client.get(f"/v1/generations/{made['id']}", params={"wait": 30}).raise_for_status().json()
    assert made["status"] == "succeeded", made
    return made


def by_python(dialect: str, stack: Stack, job: str) -> Any:
    python = python_environment(PROGRAMS / dialect / "requirements.txt") / "python"
    return json.loads(run([python, HERE / f"{dialect}_reads.py", stack.base_url, stack.api_key, job], cwd=None))


def by_fal_client(stack: Stack, job: str, folder: Path) -> Any:
    """``fal-client`` demands TLS, so a second gateway process serves the same stack."""
    gateway = tls_gateway(stack, folder)
    try:
        gateway.start()
        return json.loads(run([sys.executable, HERE / "fal_client_reads.py", job], cwd=None, **gateway.environment))
    finally:
        gateway.end()


def by_node(folder: str, script: str, stack: Stack, job: str) -> Any:
    packages = node_environment(PROGRAMS / folder / "package.json")
    shutil.copy(HERE / script, packages)
    return json.loads(run(["node", packages / script, stack.base_url, stack.api_key, job], cwd=packages))


def test_same_job_is_read_by_every_sdk(stack: Stack, tmp_path: Path) -> None:
    made = succeeded(stack)
    job, cost, url = made["id"], made["cost"]["actual"], made["output"]["video"]["url"]
    assert float(cost) > 0

    assert by_python("openai", stack, job) == [job, "completed", cost]
    assert by_node("openai", "openai_reads.mjs", stack, job) == [job, "completed", cost]
    assert by_python("openrouter", stack, job) == [job, "completed", cost]
    assert by_node("vercel", "ai_sdk_reads.mjs", stack, job) == [job, "completed", cost]
    assert by_node("fal", "fal_client_reads.mjs", stack, job) == [job, "COMPLETED", url]
    assert by_fal_client(stack, job, tmp_path) == [job, "Completed", url]
