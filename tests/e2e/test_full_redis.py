"""Redis above its memory limit under a running stack: accepted generations end, new data waits for free memory."""

import signal
import time
from typing import Any

import httpx
import pytest

from service.cli.dev.stack import Stack
from service.domain.work_queue import WorkQueue
from service.tasks import QUEUE_OF, celery_app, task_name
from tests.e2e.conftest import TenantClient
from tests.support.memory import full
from tests.support.receiver import Receiver

PATIENCE = 90.0
JOBS = 12


@pytest.fixture
def in_flight(own_tenant: TenantClient, receiver: Receiver) -> list[str]:
    """Return jobs that fal has accepted."""
    prompt = "sandbox:no-video sandbox:seconds=20"
    names = [own_tenant.create(prompt, webhook_url=receiver.url)["id"] for _ in range(JOBS)]
    give_up = time.monotonic() + PATIENCE
    while any(own_tenant.read(name)["status"] not in ("submitted", "in_progress") for name in names):
        assert time.monotonic() < give_up
        time.sleep(0.1)
    return names


def test_redis_full_accepted_jobs_end_and_creates_resume(
    in_flight: list[str], own_tenant: TenantClient, own_stack: Stack, receiver: Receiver
) -> None:
    hints_waiting(own_stack)
    with full(own_stack.redis.url, used=1.2):
        own_stack.children["worker"].process.send_signal(signal.SIGCONT)
        refused = eventually(own_tenant, 503)
        assert refused.json()["code"] == "store_full"
        assert int(refused.headers["retry-after"]) > 0
        ended = [own_tenant.ended(name, within=PATIENCE) for name in in_flight]
        assert {g["status"] for g in ended} == {"succeeded"}
        came = receiver.wait_for(lambda events: len(events) >= JOBS, within=PATIENCE)
        assert {event.json["data"]["id"] for event in came} == set(in_flight)
        ready = httpx.get(f"{own_stack.base_url}/readyz", trust_env=False)
        assert ready.status_code == 200
        assert own_tenant.http.get("/v1/generations").status_code == 200
        assert own_tenant.http.post("/v1/generations", json=body()).status_code == 503

    created = eventually(own_tenant, 202).json()
    exit_codes = {name: child.process.poll() for name, child in own_stack.children.items()}
    assert exit_codes == dict.fromkeys(own_stack.children), own_stack.children["worker"].log_tail()
    assert own_tenant.ended(created["id"], within=PATIENCE)["status"] == "succeeded"


def test_redis_full_worker_starts_and_works(in_flight: list[str], own_tenant: TenantClient, own_stack: Stack) -> None:
    """The worker's connection to the broker needs memory; its own polls of the store need none."""
    own_stack.children.pop("worker").kill()
    with full(own_stack.redis.url, used=1.2):
        worker = own_stack._python("worker", "-m", "celery", "--quiet", "-A", "workers", "worker")
        assert {own_tenant.ended(name, within=PATIENCE)["status"] for name in in_flight} == {"succeeded"}
    created = eventually(own_tenant, 202).json()
    assert own_tenant.ended(created["id"], within=PATIENCE)["status"] == "succeeded"
    assert worker.process.poll() is None


def hints_waiting(stack: Stack) -> None:
    """Stop the worker with SIGSTOP, and send messages to its queues."""
    stack.children["worker"].process.send_signal(signal.SIGSTOP)
    app = celery_app(stack.settings)
    for drain in WorkQueue:
        for _ in range(5):
            app.send_task(task_name(drain), queue=QUEUE_OF[drain])
    app.close()


def body() -> dict[str, Any]:
    image = "https://v3b.fal.media/a.jpg"
    return {"prompt": "sandbox:no-video", "image_url": image, "duration": 4, "resolution": "480p"}


def eventually(tenant: TenantClient, status: int) -> httpx.Response:
    give_up = time.monotonic() + PATIENCE
    while (answer := tenant.http.post("/v1/generations", json=body())).status_code != status:
        assert time.monotonic() < give_up, answer.text
        time.sleep(0.1)
    return answer
