"""Programs written for fal, unmodified but for host and key: the ``fal`` package, LiteLLM, ``huggingface_hub``.

The official clients of Python and JavaScript are in ``tests/e2e/fal``, which ``make test`` runs.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.cli.dev.stack import Stack
from tests.clients.tools import python_environment, run
from tests.e2e.conftest import SAMPLES
from tests.e2e.fal.conftest import Gateway, tls_gateway

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def python() -> Path:
    return python_environment(HERE / "requirements.txt") / "python"


@pytest.fixture(scope="module")
def gateway(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Return a gateway with TLS, which the ``fal`` package requires."""
    opened = tls_gateway(stack, tmp_path_factory.mktemp("certificate"))
    try:
        opened.start()
        yield opened
    finally:
        opened.end()


def findings(python: Path, script: str, *arguments: str, **environment: str) -> dict[str, Any]:
    """Return the last line that the script prints: some programs print more."""
    printed = run([python, HERE / script, *arguments], cwd=None, **environment)
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


@pytest.mark.parametrize("split", [False, True], ids=["FAL_KEY", "FAL_KEY_ID"])
def test_fal_package(python: Path, gateway: Gateway, split: bool, tmp_path: Path) -> None:
    """Its key has two parts: the id, and the whole key."""
    key = gateway.stack.api_key
    key_id = key.split("_")[1]
    credentials = {"FAL_KEY_ID": key_id, "FAL_KEY_SECRET": key} if split else {"FAL_KEY": f"{key_id}:{key}"}
    own = {"FAL_KEY": "", "FAL_KEY_ID": "", "FAL_KEY_SECRET": "", "FAL_HOME_DIR": str(tmp_path), **credentials}
    found = findings(python, "fal_package.py", **{**gateway.environment, **own})

    assert found["output"]["video"]["content_type"] == "video/mp4"
    assert found["status"] == "Completed"
    assert set(found["events"]) <= {"Queued", "InProgress"}
    assert [found[name]["seed"] for name in ("output", "run", "path", "prefixed")] == [3, 3, 3, 3]
    assert json.loads(found["stream"][0].removeprefix("data: "))["seed"] == 3
    assert [found[name] for name in ("early", "cancelled", "policy", "invalid", "other")] == [400, 499, 422, 422, 404]


def test_litellm_video_provider(python: Path, stack: Stack) -> None:
    host = {"FAL_API_BASE": f"{stack.base_url}/fal/queue", "FAL_AI_API_KEY": stack.api_key}
    found = findings(python, "litellm_video.py", **host)

    assert (found["created"], found["ended"], found["bytes"]) == ("queued", "completed", "ftyp")
    assert found["async"] == {"status": "completed", "bytes": "ftyp"}
    assert "likenesses of real people" in found["policy"]
    assert found["policy"].startswith("failed")
    assert "duration" in found["invalid"]
    assert found["key"].startswith("401")


def test_hugging_face_provider(python: Path, stack: Stack) -> None:
    host = {"FAL_API_BASE": f"{stack.base_url}/fal/queue", "FAL_KEY": stack.api_key, "HF_HUB_OFFLINE": "0"}
    found = findings(python, "huggingface.py", str(SAMPLES / "rocket.jpg"), **host)

    assert (found["path"], found["bytes"], found["prefixed"]) == ("ftyp", "ftyp", "ftyp")
    assert found["policy"] == "KeyError: 'video'"
    assert found["other"].endswith("404")
