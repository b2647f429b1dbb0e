"""A gateway that stops first answers all waiting callers, with the current status."""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from service.cli.dev.child_processes import Child, accepts, free_port
from service.cli.dev.stack import Stack


@pytest.fixture(scope="module")
def idle() -> Iterator[Stack]:
    """A stack without a worker, so that no status changes."""
    with Stack(worker=False) as stack:
        yield stack


@pytest.mark.parametrize("processes", [1, 2])
def test_stop_answers_waiting_callers(idle: Stack, processes: int) -> None:
    port = free_port()
    command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port), "--workers", str(processes)]
    gateway = Child("another", command, log=idle.folder / "another.log", environment=idle.environment)
    with (
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {idle.api_key}"}, timeout=60
        ) as client,
        ThreadPoolExecutor() as pool,
    ):
        try:
            gateway.wait_until(lambda: accepts(port))
            body = {"prompt": "waits", "image_url": "https://v3b.fal.media/a.jpg"}
            g = client.post("/v1/generations", json=body).json()
            reading = [pool.submit(client.get, f"/v1/generations/{g['id']}", params={"wait": 40}) for _ in range(4)]
            creating = pool.submit(client.post, "/v1/generations", json=body, headers={"prefer": "wait=40"})
            gateway.wait_until(lambda: len(client.get("/v1/generations").json()["data"]) % 2 == 0)
            for _ in range(20):  # after these calls, everything that was sent earlier has arrived
                client.get("/v1/generations")
            begun = time.monotonic()
        finally:
            gateway.end()
        answers = [waiting.result(30) for waiting in reading]
        assert [(a.status_code, a.json()["status"]) for a in answers] == [(200, "queued")] * 4
        assert (creating.result(30).status_code, creating.result().json()["status"]) == (202, "queued")
        assert time.monotonic() - begun < 35, "sooner than the 40 seconds of their long polls"
