"""Programs written for OpenRouter, unmodified but for host and key: its SDK for Python, its provider of the AI SDK."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.cli.dev.stack import Stack
from tests.clients.tools import node_environment, python_environment, run
from tests.e2e.conftest import SAMPLES

HERE = Path(__file__).parent
I2V = "bytedance/seedance-2.0/image-to-video"


@pytest.fixture(scope="module")
def environment(stack: Stack) -> dict[str, str]:
    """Return host and keys: one of a tenant with budget, one of a tenant with a hundredth of a dollar."""
    token = stack.settings.admin_token
    assert token is not None
    with httpx.Client(
        base_url=f"{stack.base_url}/admin/v1", headers={"authorization": f"Bearer {token.get_secret_value()}"}
    ) as admin:
        limits = {"monthly_budget_usd": "0.01"}
        poor = admin.post("/tenants", json={"name": "poor", "limits": limits}).raise_for_status().json()
        key = admin.post(f"/tenants/{poor['id']}/keys", json={"name": "poor"}).raise_for_status().json()
    server = f"{stack.base_url}/openrouter/api/v1"
    return {"OPENROUTER_SERVER": server, "OPENROUTER_API_KEY": stack.api_key, "POOR_KEY": key["key"]}


def test_openrouter_package(stack: Stack, environment: dict[str, str]) -> None:
    python = python_environment(HERE / "requirements.txt") / "python"
    with subprocess.Popen(
        [python, HERE / "openrouter_package.py", "--created"],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        hanging = program.stdout.readline().strip()
        headers = {"authorization": f"Bearer {stack.api_key}"}
        httpx.post(f"{stack.base_url}/v1/generations/{hanging}/cancel", headers=headers).raise_for_status()
        printed, _ = program.communicate("canceled\n", timeout=300)
    found: dict[str, Any] = json.loads(printed)

    job_id, polling_url, status = found["first"]
    url = f"{environment['OPENROUTER_SERVER']}/videos/{job_id}"
    assert (polling_url, status) == (url, "pending")
    assert found["completed"] == ["completed", [f"{url}/content?index=0"], False]
    assert found["bytes"] == "ftyp"
    g = httpx.get(f"{stack.base_url}/v1/generations/{job_id}", headers=headers).json()
    assert (g["status"], g["end_user_id"]) == ("succeeded", "u1")
    assert found["cost"] == float(g["cost"]["actual"])
    assert found["failed"][0] == "failed"
    assert "likenesses of real people" in found["failed"][1]
    assert found["cancelled"] == "cancelled"
    assert [found[name][:2] for name in ("budget", "ceiling", "invalid", "model", "key")] == [
        ["PaymentRequiredResponseError", 402],
        ["PaymentRequiredResponseError", 402],
        ["BadRequestResponseError", 400],
        ["NotFoundResponseError", 404],
        ["UnauthorizedResponseError", 401],
    ]
    assert "budget" in found["budget"][2]
    assert found["invalid"][2].startswith("duration: ")
    for name in ("bytedance/seedance-2.0", I2V):  # a family, and a model
        assert [name, 4, "480p", "0.000014"] in found["models"]


def test_openrouter_provider_of_the_ai_sdk(stack: Stack, environment: dict[str, str]) -> None:
    folder = node_environment(HERE / "package.json")
    program = folder / "openrouter_provider.mjs"
    program.write_text((HERE / program.name).read_text())
    found: dict[str, Any] = json.loads(run(["node", program, SAMPLES / "rocket.jpg"], cwd=folder, **environment))

    assert (found["type"], found["bytes"]) == ("video/mp4", "ftyp")
    headers = {"authorization": f"Bearer {stack.api_key}"}
    url = f"{stack.base_url}/v1/generations/{found['metadata']['generationId']}"
    g = httpx.get(url, headers=headers).json()
    assert (g["status"], g["model"], g["input"]["resolution"]) == ("succeeded", I2V, "480p")
    assert found["metadata"]["cost"] == float(g["cost"]["actual"])
    assert "likenesses of real people" in found["failed"][1]
    assert [found[name][0] for name in ("budget", "ceiling", "invalid", "model")] == [402, 402, 400, 404]
    assert "budget" in found["budget"][1]
