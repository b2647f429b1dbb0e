"""The unmodified official Python client, with only host and key changed."""

import json
import sys
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.e2e.conftest import SAMPLES
from tests.e2e.fal.conftest import ENDPOINT, HERE, Gateway, run


@pytest.fixture(scope="module")
def found(gateway: Gateway) -> dict[str, Any]:
    findings: dict[str, Any] = json.loads(
        run([sys.executable, str(HERE / "python_client.py"), str(SAMPLES / "rocket.jpg")], gateway.environment)
    )
    return findings


def test_submit_status_and_result(found: dict[str, Any]) -> None:
    sync = found["sync"]
    assert sync["output"]["video"]["content_type"] == "video/mp4"
    assert sync["output"]["seed"] == 3
    assert sync["by_id"] == sync["output"]
    assert sync["first"] in ("Queued", "InProgress")
    assert sync["status"] == "Completed"


def test_urls_are_of_the_gateway(found: dict[str, Any], gateway: Gateway) -> None:
    sync = found["sync"]
    base = f"{gateway.url}/fal/queue/bytedance/seedance-2.0/requests/{sync['request_id']}"
    assert (sync["status_url"], sync["same_address"]) == (f"{base}/status", True)


def test_subscribe_reports_statuses_and_logs(found: dict[str, Any]) -> None:
    sync = found["sync"]
    assert sync["subscribed"]["seed"] == 3
    assert {"InProgress", "Completed"} <= set(sync["updates"])
    assert len(sync["logs"]) >= 2  # a callback ends it without another read of the log


def test_failure_raises_error_of_client(found: dict[str, Any]) -> None:
    sync = found["sync"]
    assert (sync["cancelled"]["code"], sync["cancelled"]["type"]) == (499, "client_cancelled")
    assert sync["policy"]["code"] == 422
    assert "content_policy_violation" in sync["policy"]["message"]
    assert sync["invalid"]["code"] == 422
    assert "image_url" in sync["invalid"]["message"]
    assert sync["unknown"]["code"] == 404


def test_run_and_stream(found: dict[str, Any]) -> None:
    assert found["sync"]["run"]["seed"] == 3
    (event,) = found["sync"]["stream"]
    assert event["video"]["file_name"] == "video.mp4"


def test_async_client(found: dict[str, Any]) -> None:
    asynchronous = found["async"]
    assert (asynchronous["last"], asynchronous["cancelled"]) == ("Completed", 499)
    assert [asynchronous[name]["seed"] for name in ("output", "subscribed", "run")] == [3, 3, 3]
    assert asynchronous["stream"][0]["seed"] == 3


def test_encoded_file_without_suffix(found: dict[str, Any], gateway: Gateway) -> None:
    with httpx.Client(base_url=gateway.stack.base_url, trust_env=False) as plain:
        headers = {"authorization": f"Bearer {gateway.stack.api_key}"}
        g = plain.get(f"/v1/generations/{found['sync']['encoded']}", headers=headers).json()
    with Image.open(BytesIO(httpx.get(g["input"]["image_url"], trust_env=False).content)) as arrived:
        assert arrived.format == "JPEG"


@pytest.mark.parametrize("mode", ["uploads", "async uploads"])
def test_uploads(found: dict[str, Any], mode: str) -> None:
    with Image.open(SAMPLES / "rocket.jpg") as photo:
        pixels = photo.tobytes()
    uploads = found[mode]
    for name in {"file", "data", "nameless", "other repository", "lifecycle"} & uploads.keys():
        with Image.open(BytesIO(httpx.get(uploads[name], trust_env=False).content)) as arrived:
            assert (arrived.format, arrived.tobytes()) == ("JPEG", pixels), name
    assert httpx.get(uploads["image"], trust_env=False).headers["content-type"] == "image/jpeg"
    assert uploads["large"]["code"] == 413


def test_uploads_are_used_and_checked(found: dict[str, Any]) -> None:
    uploads = found["uploads"]
    assert httpx.get(uploads["png"], trust_env=False).content.startswith(b"\x89PNG")
    assert (uploads["used"], uploads["no image"]["code"]) == (3, 422)


def test_requests_are_generations(found: dict[str, Any], gateway: Gateway) -> None:
    with httpx.Client(base_url=gateway.stack.base_url, trust_env=False) as plain:
        headers = {"authorization": f"Bearer {gateway.stack.api_key}"}
        g = plain.get(f"/v1/generations/{found['sync']['request_id']}", headers=headers).json()
    assert (g["status"], g["model"], g["priority"]) == ("succeeded", ENDPOINT, 0)
    assert g["output"]["video"]["url"] == found["sync"]["output"]["video"]["url"]
    assert float(g["cost"]["actual"]) > 0
    with gateway.client() as client:
        result = client.get(f"/fal/queue/{ENDPOINT}/requests/{g['id']}")
    assert float(result.headers["x-fal-billable-units"]) * 0.014 == pytest.approx(float(g["cost"]["actual"]), rel=1e-3)
