"""Responses of a real process that are lost: the official client sends the submit again, and fal is paid once."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from service.cli.dev.stack import Stack
from service.store import keys
from tests.e2e.fal.conftest import ENDPOINT, Gateway, submits, tls_gateway
from tests.e2e.fal.forwarder import Forwarder

SUBMIT = """
import json, sys, fal_client
handle = fal_client.submit(sys.argv[1], arguments=json.loads(sys.argv[2]))
print(json.dumps({"request_id": handle.request_id, "output": handle.get()}))
"""


@pytest.fixture
def forwarder(stack: Stack) -> Iterator[Forwarder]:
    with Forwarder(stack.redis.url, b"undelivered_responses:") as opened:
        yield opened


@pytest.fixture
def gateway(stack: Stack, forwarder: Forwarder, tmp_path: Path) -> Iterator[Gateway]:
    """The gateway of the stack, with the forwarder in front of its Redis."""
    opened = tls_gateway(stack, tmp_path)
    opened.overrides["GATEWAY_REDIS_URL"] = forwarder.url
    try:
        opened.start()
        with opened.client() as client:  # Redis has the script from now on
            assert client.post(f"/fal/queue/{ENDPOINT}", json=arguments("warm up")).is_success
        yield opened
    finally:
        forwarder.release()
        opened.end()


@pytest.fixture
def generations(stack: Stack) -> Iterator[Callable[[], int]]:
    """Return how many generations the tenant has, without the forwarder."""
    with redis_py.Redis.from_url(stack.redis.url) as client:
        yield lambda: int(client.zcard(keys.generations_of_tenant(stack.tenant_id)))


def wait_for(happened: Callable[[], bool], within: float = 90) -> None:
    give_up = time.monotonic() + within
    while not happened():
        assert time.monotonic() < give_up, f"not within {within} s"
        time.sleep(0.01)


def arguments(prompt: str) -> dict[str, Any]:
    image = "https://v3b.fal.media/files/b/x/rocket.jpg"
    return {"prompt": f"sandbox:no-video sandbox:seconds=0.2 {prompt}", "image_url": image, "resolution": "480p"}


def test_resend_after_process_kill_pays_once(
    gateway: Gateway, forwarder: Forwarder, generations: Callable[[], int]
) -> None:
    before, prompt = generations(), "killed before it answered"
    forwarder.arm()
    command = [sys.executable, "-c", SUBMIT, ENDPOINT, json.dumps(arguments(prompt))]
    with subprocess.Popen(command, env=gateway.environment, stdout=subprocess.PIPE, text=True) as client:
        try:
            wait_for(lambda: generations() == before + 1)
            gateway.kill()
            forwarder.release()
            gateway.start()
            printed, _ = client.communicate(timeout=180)
        finally:
            client.kill()
    assert client.returncode == 0
    assert json.loads(printed)["output"]["video"]["url"]
    assert generations() == before + 1
    assert len(submits(gateway.stack, prompt)) == 1


def test_resend_after_client_disconnect_pays_once(
    gateway: Gateway, forwarder: Forwarder, generations: Callable[[], int]
) -> None:
    before, body = generations(), json.dumps(arguments("hung up"))
    path, headers = f"/fal/queue/{ENDPOINT}", {"authorization": f"Key {gateway.stack.api_key}"}
    forwarder.arm()
    impatient = http.client.HTTPSConnection(gateway.host, context=gateway.context())
    impatient.request("POST", path, body, headers)
    wait_for(lambda: generations() == before + 1)
    impatient.close()
    with gateway.client() as patient:
        assert patient.get("/healthz").is_success  # the gateway's event loop has seen the close before this request
        forwarder.release()
        again = patient.post(path, content=body)
        assert again.status_code == 200
        assert generations() == before + 1
        deliberate = patient.post(path, content=body)
        assert deliberate.json()["request_id"] != again.json()["request_id"]
    assert generations() == before + 2
