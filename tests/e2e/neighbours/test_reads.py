"""A tenant with a large history reads all of it, as fast as it can: the other tenant's calls stay fast."""

import asyncio
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from service.cli.dev.stack import Stack
from service.runtime import open_runtime
from tests.e2e.conftest import OVERRIDES
from tests.support import large_history
from tests.support.large_history import History
from tests.support.neighbours import assert_unharmed, measure, neighbour, operator

ROWS = 200_000
READERS = 6


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(overrides=OVERRIDES, worker=False) as started:  # a worker would dispatch the history that is written
        yield started


async def _filled(stack: Stack) -> History:
    async with open_runtime(stack.settings) as runtime:
        return await large_history.fill(runtime, stack.redis.url, rows=ROWS, work=False)


def test_reads_of_a_large_history_leave_the_other_tenant_unharmed(stack: Stack) -> None:
    history = asyncio.run(_filled(stack))
    with neighbour(stack, "b") as b:
        measure(b, rounds=5)
        calm = measure(b, rounds=20)
        with reading(stack, history) as counts:
            harassed = measure(b, rounds=20)
        assert all(counts.values()), f"a read was never answered: {counts}"
        # Six readers share the only thread of the gateway with tenant B: each of B's calls waits for a few of theirs.
        assert_unharmed(calm, harassed, within=2.0)


@contextmanager
def reading(stack: Stack, history: History) -> Iterator[dict[str, int]]:
    """Read everything in turns, by several clients, until the block ends. Yields how often each read was answered."""
    with httpx.Client(base_url=stack.base_url, headers=operator(stack), timeout=30, trust_env=False) as admin:
        path = f"/admin/v1/tenants/{history.tenant.id}/keys"
        key = admin.post(path, json={}).raise_for_status().json()["key"]
    paths = _paths(history)
    counts, end = dict.fromkeys(paths, 0), threading.Event()
    failures: list[str] = []

    def read(first: int) -> None:
        headers = {"authorization": f"Bearer {key}"}
        with httpx.Client(base_url=stack.base_url, headers=headers, timeout=60, trust_env=False) as client:
            for path in itertools.cycle(paths[first:] + paths[:first]):
                if end.is_set():
                    return
                answer = client.get(path)
                if answer.status_code != 200:
                    failures.append(f"{path}: {answer.status_code} {answer.text[:200]}")
                counts[path] += 1

    threads = [threading.Thread(target=read, args=(n % len(paths),), daemon=True) for n in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        end.set()
        for thread in threads:
            thread.join(timeout=60)
    assert failures == []


def _paths(history: History) -> list[str]:
    today = datetime.now(UTC).date()
    return [
        "/v1/usage",
        f"/v1/usage?start={today - timedelta(days=91)}&end={today}",
        "/v1/usage/end-users?limit=1000&cursor=MTAwMDA",
        "/v1/generations?limit=100",
        "/v1/generations?limit=1&status=failed",
        f"/v1/generations?limit=100&end_user_id={large_history.END_USER}",
        "/v1/deliveries?limit=100",
        "/v1/deliveries?limit=1&status=pending",
        f"/v1/generations/{history.ended.id}",
        f"/v1/end-users/{large_history.END_USER}",
        "/v1/webhook-endpoints",
    ]
