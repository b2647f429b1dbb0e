"""Three unmodified clients of fal with the id of every model: create, wait, download, cancel, refusals, failures."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.cli.dev.stack import Stack
from tests.clients.tools import node_environment, run
from tests.e2e.fal.conftest import Gateway, tls_gateway
from tests.support.neighbours import Neighbour, neighbour

HERE = Path(__file__).parent
KINDS = ("text-to-video", "image-to-video", "reference-to-video")


@pytest.fixture(scope="module")
def models(stack: Stack) -> list[dict[str, str]]:
    """Return id and kind of every model that the gateway serves."""
    headers = {"authorization": f"Bearer {stack.api_key}"}
    listed = httpx.get(f"{stack.base_url}/v1/models", headers=headers, timeout=60, trust_env=False).json()["data"]
    return [{"id": model["id"], "kind": model["kind"]} for model in listed if model["kind"] in KINDS]


@pytest.fixture(scope="module")
def poor(stack: Stack) -> Iterator[Neighbour]:
    """Return a tenant whose budget covers no video."""
    with neighbour(stack, "poor", monthly_budget_usd="0.01") as tenant:
        yield tenant


def findings(script: str, stack: Stack, *arguments: str) -> dict[str, Any]:
    folder = node_environment(HERE / "package.json")
    shutil.copy(HERE / script, folder)
    printed = run(["node", folder / script, stack.base_url, stack.api_key, *arguments], cwd=folder)
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


def test_ai_sdk_provider(stack: Stack, models: list[dict[str, str]], poor: Neighbour) -> None:
    """It puts ``fal-ai/`` before each id and sends ``duration`` as ``"4s"``; fal itself refuses both."""
    found = findings("use_ai_sdk.mjs", stack, poor.key, json.dumps(models))

    assert found["videos"] == [[model["id"], "ftyp", 1] for model in models]
    assert (found["pending"], found["canceled"], found["failed"]) == ("pending", "error", "error")
    statuses = {name: found[name]["statusCode"] for name in ("budget", "invalid", "unknown")}
    assert statuses == {"budget": 402, "invalid": 422, "unknown": 404}


def test_javascript_client(stack: Stack, models: list[dict[str, str]], poor: Neighbour) -> None:
    found = findings("use_fal_client.mjs", stack, poor.key, json.dumps(models))

    assert found["videos"] == [[model["id"], "ftyp", True] for model in models]
    assert [found[name][1] for name in ("canceled", "failed", "budget")] == [499, 422, 402]


def test_python_client(
    stack: Stack, models: list[dict[str, str]], poor: Neighbour, tmp_path_factory: pytest.TempPathFactory
) -> None:
    gateway: Gateway = tls_gateway(stack, tmp_path_factory.mktemp("certificate"))
    try:
        gateway.start()
        script = HERE / "use_fal_client.py"
        printed = run([sys.executable, script, json.dumps(models), poor.key], cwd=None, **gateway.environment)
    finally:
        gateway.end()
    found = json.loads(printed.splitlines()[-1])

    assert found["videos"] == [[model["id"], "ftyp", True] for model in models]
    assert [found[name] for name in ("canceled", "failed", "budget")] == [499, 422, 402]
