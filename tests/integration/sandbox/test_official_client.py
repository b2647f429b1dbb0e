"""The official Python client, unmodified, over TLS."""

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.sandbox.server import Server

SCRIPT = Path(__file__).parent / "official_client.py"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    started = Server("--tls", speed=1000)
    yield started
    assert started.stop() == (0, "")


@pytest.fixture(scope="module")
def trusting(server: Server) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.announcement["certificate"])


@pytest.fixture(scope="module")
def found(server: Server) -> dict[str, Any]:
    host = server.url.removeprefix("https://")
    hosts = {"FAL_RUN_HOST": f"{host}/run", "FAL_QUEUE_RUN_HOST": f"{host}/queue"}
    trust = {"SSL_CERT_FILE": server.announcement["certificate"], "FAL_KEY": "testid:testsecret"}
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), server.url],
        env={**os.environ, **hosts, **trust},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    findings: dict[str, Any] = json.loads(ended.stdout)
    return findings


def test_submit_status_and_result(found: dict[str, Any]) -> None:
    sync = found["sync"]
    assert sync["output"]["seed"] == 3
    assert sync["output"]["video"]["content_type"] == "video/mp4"
    assert sync["by_id"] == sync["output"]
    assert (sync["same_address"], sync["status"]) == (True, "Completed")


def test_subscribe_reports_statuses_and_logs(found: dict[str, Any]) -> None:
    sync = found["sync"]
    assert sync["subscribed"]["seed"] == 3
    assert {"InProgress", "Completed"} <= set(sync["updates"])
    assert len(sync["logs"]) == 5  # the window of log lines moved: no update has all lines, all updates together do


def test_failure_raises_error_of_client(found: dict[str, Any]) -> None:
    cancelled, refused = found["sync"]["cancelled"], found["sync"]["refused"]
    assert (cancelled["code"], cancelled["type"]) == (499, "client_cancelled")
    assert refused["code"] == 422
    assert "content_policy_violation" in refused["message"]


def test_429_is_retried_until_accepted(found: dict[str, Any]) -> None:
    assert found["sync"]["retried"]["seed"] == 3


def test_run_and_stream(found: dict[str, Any]) -> None:
    assert found["sync"]["run"]["seed"] == 3
    (event,) = found["sync"]["stream"]
    assert event["video"]["file_name"] == "video.mp4"


def test_async_client(found: dict[str, Any]) -> None:
    assert found["async"].pop("last") == "Completed"
    assert [output["seed"] for output in found["async"].values()] == [3, 3, 3]


def test_upload_whole_and_in_parts(found: dict[str, Any], trusting: ssl.SSLContext) -> None:
    for url in (found["uploaded"]["whole"], found["uploaded"]["parts"]):
        assert httpx.get(url, verify=trusting).content == bytes(range(256)) * 100


def test_uploaded_image_is_used_despite_private_certificate(found: dict[str, Any]) -> None:
    assert found["uploaded"]["seen"]["video"]["file_size"] > 10_000


def test_client_called_this_server(found: dict[str, Any], server: Server, trusting: ssl.SSLContext) -> None:
    records = httpx.get(f"{server.url}/_sandbox/requests", verify=trusting).json()
    assert len(records) == 11
