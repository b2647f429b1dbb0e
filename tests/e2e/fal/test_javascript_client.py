"""The unmodified official JavaScript client, through the proxy, with only its URL and the key set."""

import json
import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from service.cli.dev.stack import Stack
from tests.e2e.conftest import SAMPLES, TenantClient
from tests.e2e.fal.conftest import HERE, run

SCRIPT = "javascript_client.mjs"


@pytest.fixture(scope="module")
def found(stack: Stack, javascript: Path) -> dict[str, Any]:
    shutil.copy(HERE / SCRIPT, javascript)
    printed = run(
        ["node", SCRIPT, stack.base_url, stack.api_key, str(SAMPLES / "rocket.jpg")], {"FAL_KEY": ""}, cwd=javascript
    )
    findings: dict[str, Any] = json.loads(printed)
    return findings


def test_submit_status_and_result(found: dict[str, Any]) -> None:
    queued, status, result = found["queued"], found["status"], found["result"]
    assert (queued["status"], queued["queue_position"], queued["logs"]) == ("IN_QUEUE", 0, None)
    assert status["request_id"] == queued["request_id"]
    assert status["status"] in ("IN_QUEUE", "IN_PROGRESS")
    assert (result["requestId"], result["data"]["seed"]) == (queued["request_id"], 3)
    assert result["data"]["video"]["content_type"] == "video/mp4"


@pytest.mark.parametrize("mode", ["polling", "streaming"])
def test_subscribe_reports_logs(found: dict[str, Any], mode: str) -> None:
    seen = found[mode]
    assert seen["seed"] == 3
    assert {"IN_PROGRESS", "COMPLETED"} <= set(seen["states"])
    assert len(seen["lines"]) == len(set(seen["lines"])) >= 2  # a callback ends it without another read of the log


def test_result_too_early_raises(found: dict[str, Any]) -> None:
    assert found["early"]["status"] == 400
    assert found["early"]["body"] == {"detail": "Request is still in progress"}


def test_cancel(found: dict[str, Any]) -> None:
    assert found["cancelled"]["status"] == 499
    assert found["cancelled"]["body"]["error_type"] == "client_cancelled"


def test_failure_raises_error_of_client(found: dict[str, Any]) -> None:
    policy, invalid = found["policy"], found["invalid"]
    assert (policy["name"], policy["status"]) == ("ValidationError", 422)
    assert policy["body"]["detail"][0]["type"] == "content_policy_violation"
    assert policy["requestId"].startswith("gen_")
    assert (invalid["name"], invalid["body"]["detail"][0]["loc"]) == ("ValidationError", ["body", "image_url"])
    assert (found["unknown"]["status"], found["unknown"]["body"]) == (404, {"status": "NOT_FOUND"})
    assert found["other"]["status"] == 404


def test_run_and_stream(found: dict[str, Any]) -> None:
    assert found["run"]["data"]["seed"] == 3
    assert found["run"]["requestId"].startswith("gen_")
    (event,) = found["streamed"]
    assert event == found["done"]
    assert event["video"]["file_name"] == "video.mp4"


def test_upload(found: dict[str, Any], tenant: TenantClient) -> None:
    """The upload removes the metadata; the picture is the same."""
    with Image.open(SAMPLES / "rocket.jpg") as photo:
        pixels = photo.tobytes()
    for url in (found["uploaded"], found["untyped"], tenant.read(found["used"])["input"]["image_url"]):
        with Image.open(BytesIO(httpx.get(url, trust_env=False).content)) as arrived:
            assert (arrived.format, arrived.tobytes()) == ("JPEG", pixels)
