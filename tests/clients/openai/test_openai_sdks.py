"""OpenAI's SDKs of PyPI and npm, unmodified but for base URL and key."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.cli.dev.stack import Stack
from tests.clients.openai.cutting_proxy import CuttingProxy
from tests.clients.tools import node_environment, python_environment, run
from tests.e2e.conftest import SAMPLES, client_of

HERE = Path(__file__).parent
PHOTO = SAMPLES / "rocket.jpg"
INVALID = ["BadRequestError", 400, "invalid"]


def key_of_new_tenant(stack: Stack, **limits: Any) -> str:
    token = stack.settings.admin_token
    assert token is not None
    headers = {"authorization": f"Bearer {token.get_secret_value()}"}
    with httpx.Client(base_url=f"{stack.base_url}/admin/v1", headers=headers) as admin:
        tenant = admin.post("/tenants", json={"name": "acme", "limits": limits}).raise_for_status().json()
        key = admin.post(f"/tenants/{tenant['id']}/keys", json={"name": "openai"}).raise_for_status().json()
    return str(key["key"])


def findings(stack: Stack, command: list[str | Path], *, cwd: Path | None = None) -> tuple[dict[str, Any], int, str]:
    """Return what a program found, the POSTs through the proxy, and the key that it had."""
    with client_of(stack).http as http:
        photo_url = http.post("/v1/uploads", content=PHOTO.read_bytes()).raise_for_status().json()["url"]
    key = key_of_new_tenant(stack)
    with CuttingProxy(stack.base_url) as proxy:
        printed = run(
            command,
            cwd=cwd,
            BASE=f"{stack.base_url}/openai/v1",
            CUT_BASE=f"{proxy.url}/openai/v1",
            KEY=key,
            POOR_KEY=key_of_new_tenant(stack, monthly_budget_usd="0.01"),
            PHOTO=str(PHOTO),
            PHOTO_URL=photo_url,
        )
        return json.loads(printed.splitlines()[-1]), proxy.posts, key


@pytest.mark.parametrize("language", ["python", "node"])
def test_openai_sdk(stack: Stack, language: str, tmp_path: Path) -> None:
    if language == "python":
        command: list[str | Path] = [python_environment(HERE / "requirements.txt") / "python", HERE / "videos.py"]
    else:
        program = node_environment(HERE / "package.json") / "videos.mjs"
        program.write_text((HERE / "videos.mjs").read_text())
        command = ["node", program]

    found, posts, key = findings(stack, command)

    assert found["file"] == ["completed", "4", "854x480", 100, "ftyp"]
    assert found["url"][0] == "completed"
    assert (found["list"], found["ascending"]) == (True, True)
    assert found["failed"] == ["failed", "content_policy"]
    assert (found["deleted"], found["canceled"], found["deleted twice"]) == (True, ["failed", "canceled"], False)
    assert found["budget"][1:] == [402, "budget_exceeded", None]
    assert found["model"] == ["NotFoundError", 404, "model_not_found", "model"]
    assert found["no image"] == [*INVALID, "input_reference"]
    assert found["seconds"] == [*INVALID, "seconds"]
    assert found["unknown"] == [*INVALID, "promt"]
    assert found["key"] == ["AuthenticationError", 401, "unauthenticated", None]
    assert (posts, found["cut"][1]) == (2, 1), "the repeat creates nothing"

    with httpx.Client(base_url=stack.base_url, headers={"authorization": f"Bearer {key}"}) as http:
        g = http.get(f"/v1/generations/{found['url'][1]}").raise_for_status().json()
    assert (g["metadata"], g["end_user_id"], g["input"]["generate_audio"]) == ({"order": "1"}, "customer-7", False)
    assert g["input"]["resolution"] == "480p"
