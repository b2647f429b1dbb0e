"""The unmodified AI SDK (``ai`` with ``@ai-sdk/gateway``): every call of its video functions, and its error classes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from service.cli.dev.stack import Stack
from tests.clients.tools import node_environment, run
from tests.e2e.conftest import SAMPLES
from tests.support.neighbours import neighbour

HERE = Path(__file__).parent
PROGRAM = "use_ai_sdk.mjs"


@pytest.fixture(scope="module")
def found(stack: Stack) -> dict[str, Any]:
    """Return what the program found."""
    folder = node_environment(HERE / "package.json")
    shutil.copy(HERE / PROGRAM, folder)
    with neighbour(stack, "poor", monthly_budget_usd="0.01") as poor:
        printed = run(
            ["node", folder / PROGRAM, stack.base_url, stack.api_key, poor.key, SAMPLES / "rocket.jpg"], cwd=folder
        )
    findings: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return findings


def test_models_are_listed(found: dict[str, Any]) -> None:
    assert ["bytedance/seedance-2.0/text-to-video", "video"] in found["models"]


@pytest.mark.parametrize("way", ["polled", "once"])
def test_video_is_generated_and_downloaded(found: dict[str, Any], way: str) -> None:
    ended = found[way]
    gateway = ended["metadata"]["gateway"]

    assert ended["bytes"] == "ftyp"
    kind = "image" if way == "polled" else "text"
    assert gateway["model"] == f"bytedance/seedance-2.0/{kind}-to-video"
    assert gateway["status"] == "succeeded"
    assert float(gateway["cost"]) > 0
    warnings = [warning["feature"] for warning in ended["warnings"]]
    assert warnings == (["fps"] if way == "polled" else ["seed", "fps"])
    assert ended["metadata"]["fal"]["seed"] is not None


def test_webhook_ends_the_wait(found: dict[str, Any]) -> None:
    assert found["webhook"] == ["ftyp", "generation.succeeded"]


def test_pending_canceled_and_failed(found: dict[str, Any]) -> None:
    assert found["pending"] == "pending"
    assert (found["canceled"]["status"], found["canceled"]["error"]) == ("error", "Video generation was cancelled.")
    assert (found["failed"]["status"], found["failed"]["providerMetadata"]["gateway"]["error"]["code"]) == (
        "error",
        "content_policy",
    )
    assert found["failedOnce"]["name"] == "GatewayInvalidRequestError"
    assert found["failedOnce"]["message"] == found["failed"]["error"]


ERRORS = {
    "budget": {"name": "GatewayForbiddenError", "statusCode": 402, "ruleId": "budget_exceeded"},
    "foreign": {"name": "GatewayNotFoundError", "statusCode": 404},
    "unknown": {"name": "GatewayModelNotFoundError", "statusCode": 404, "modelId": "other/model"},
    "invalid": {"name": "GatewayInvalidRequestError", "statusCode": 422},
    "several": {"name": "GatewayInvalidRequestError", "statusCode": 422},
    "key": {"name": "GatewayAuthenticationError", "statusCode": 401},
}


@pytest.mark.parametrize("case", ERRORS)
def test_refusal_raises_error_class_of_the_sdk(found: dict[str, Any], case: str) -> None:
    assert {name: found[case].get(name) for name in ERRORS[case]} == ERRORS[case]


@pytest.mark.parametrize("way", ["startLost", "onceLost"])
def test_retry_after_a_lost_response_creates_once(found: dict[str, Any], way: str) -> None:
    returned, *created = found[way]
    assert created == [returned]
