"""Failover of Redis under a whole stack: accepted generations end, submitted once, and no process restarts."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES, TenantClient, client_of
from tests.support.histories.recorder import background_reader
from tests.support.sentinels import Watched

JOBS = 60


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with Watched(tmp_path, replicas=2, sentinels=3) as running:
        yield running


@pytest.fixture
def guarded(watched: Watched) -> Iterator[TenantClient]:
    own = {"redis_url": watched.url, "redis_wait_replicas": 1, "redis_timeout": 2.0}
    with Stack(overrides={**OVERRIDES, **own}) as stack:
        client = client_of(stack)
        with client.http:
            yield client


def create_with_retry(tenant: TenantClient, number: int) -> str:
    """Create, and repeat after 503 with the same idempotency key, as the API description says."""
    body = {"prompt": _prompt(number), "image_url": "https://v3b.fal.media/a.jpg", "duration": 4, "resolution": "480p"}
    give_up = time.monotonic() + 120
    while True:
        answer = tenant.http.post("/v1/generations", json=body, headers={"idempotency-key": f"order-{number}"})
        if answer.status_code == 202:
            return str(answer.json()["id"])
        assert answer.status_code == 503, answer.text
        assert time.monotonic() < give_up, answer.text
        time.sleep(0.1)


def _prompt(number: int) -> str:
    return f"sandbox:no-video sandbox:seconds=1 through the failover {number}"


def test_failover_after_killed_master_ends_accepted_jobs(guarded: TenantClient, watched: Watched) -> None:
    reading = background_reader(guarded.http, [guarded.stack.api_key], guarded.history)
    with reading, ThreadPoolExecutor(8) as callers:
        creating = [callers.submit(create_with_retry, guarded, number) for number in range(JOBS)]
        creating[JOBS // 3].result(40)
        watched.fail_over()
        failover_at = time.monotonic()
        names = [future.result(60) for future in creating]
    assert len(set(names)) == JOBS

    ended: list[Any] = [guarded.wait_for(name, _ended_or_unconfirmed, within=180) for name in names]
    assert {g["status"] for g in ended} <= {"succeeded", "unconfirmed"}
    assert [g["status"] for g in ended].count("succeeded") >= JOBS - 8, "only submits in progress may be unconfirmed"
    guarded.assert_history(None, failover_at=failover_at)
    stack = guarded.stack
    assert {name: child.process.poll() for name, child in stack.children.items()} == dict.fromkeys(stack.children)


def _ended_or_unconfirmed(g: Any) -> bool:
    return g["finished_at"] is not None or g["status"] == "unconfirmed"
