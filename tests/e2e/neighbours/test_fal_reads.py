"""Tenant A floods the fal surface with equal submits and with reads; tenant B works as before."""

import asyncio
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import aiohttp
import httpx
import pytest
import redis as redis_py

from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES
from tests.support.neighbours import Neighbour, PeakMemory, assert_unharmed, measure, neighbour

SUBMIT: Final = "/fal/queue/bytedance/seedance-2.0/image-to-video"
REQUESTS: Final = "/fal/queue/bytedance/seedance-2.0/requests"
EQUAL: Final = 300
#: Connections of tenant A that read as often as they are answered.
READERS: Final = 8
#: Interval of fal's Python client.
POLL_SECONDS: Final = 0.1
#: Bound of tenant B's 99th percentile, in seconds. Tenant A and its own client share two cores with the stack, and an
#: upload, which decodes an image in a process of its own, takes a second there without tenant A.
WITHIN: Final = 5.0
#: What the flood may add to the memory of the gateway.
MOST_MEMORY: Final = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(worker=False, overrides=OVERRIDES) as running:
        yield running


@pytest.fixture(scope="module")
def b(stack: Stack) -> Iterator[Neighbour]:
    with neighbour(stack, "b") as tenant:
        yield tenant


def order(prompt: str) -> dict[str, Any]:
    return {"prompt": prompt, "image_url": "https://v3b.fal.media/a.jpg", "duration": "4", "resolution": "480p"}


def submitted(tenant: Neighbour, prompt: str) -> str:
    return str(tenant.http.post(SUBMIT, json=order(prompt)).raise_for_status().json()["request_id"])


async def submits(tenant: Neighbour, prompts: list[str]) -> list[str]:
    """Send these submits at once, each on its own connection. Return their request ids."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(tenant.stack.base_url, connector=connector) as session:

        async def one(prompt: str) -> str:
            headers = {"authorization": f"Key {tenant.key}"}
            async with session.post(SUBMIT, json=order(prompt), headers=headers) as answer:
                answer.raise_for_status()
                return str((await answer.json())["request_id"])

        return await asyncio.gather(*map(one, prompts))


def scripts(stack: Stack) -> int:
    with redis_py.Redis.from_url(stack.redis.url) as client:
        stats = client.info("commandstats")
    return sum(int(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"]) for name in ("eval", "evalsha"))


def test_equal_submits_leave_other_tenant_unharmed(stack: Stack, b: Neighbour) -> None:
    calm = measure(b, rounds=6)
    with neighbour(stack, "a") as a, ThreadPoolExecutor(1) as thread:
        began = scripts(stack)
        asyncio.run(submits(a, [f"variation {n}" for n in range(EQUAL)]))
        distinct = scripts(stack) - began
        began = scripts(stack)
        asyncio.run(submits(a, ["the same"] * EQUAL))
        equal = scripts(stack) - began
        sys.stdout.write(f"{EQUAL} submits: {distinct} scripts if distinct, {equal} if equal\n")
        assert equal <= 2 * distinct
        flood = thread.submit(asyncio.run, submits(a, ["the same again"] * EQUAL))
        harassed = measure(b, rounds=6)
        assert len(set(flood.result(timeout=120))) == EQUAL, "every submit has a generation of its own"
    assert_unharmed(calm, harassed, within=WITHIN)


async def reads(tenant: Neighbour, request_ids: list[str], stop: threading.Event) -> Counter[int]:
    """Read these statuses in turn as often as they are answered, until the event. Return how often by status."""
    found: Counter[int] = Counter()
    headers = {"authorization": f"Key {tenant.key}"}
    async with aiohttp.ClientSession(tenant.stack.base_url, headers=headers) as session:

        async def reader(number: int) -> None:
            while not stop.is_set():
                name = request_ids[number % len(request_ids)]
                async with session.get(f"{REQUESTS}/{name}/status") as answer:
                    found[answer.status] += 1

        await asyncio.gather(*(reader(number) for number in range(READERS)))
    return found


def polls(tenant: Neighbour, request_id: str, stop: threading.Event) -> Counter[int]:
    """Read one status as fal's Python client does."""
    found: Counter[int] = Counter()
    with httpx.Client(base_url=tenant.stack.base_url, timeout=60, trust_env=False) as client:
        while not stop.is_set():
            answer = client.get(f"{REQUESTS}/{request_id}/status", headers={"authorization": f"Key {tenant.key}"})
            found[answer.status_code] += 1
            time.sleep(POLL_SECONDS)
    return found


@pytest.mark.parametrize("known", [True, False])
def test_reads_are_limited_and_leave_others_unharmed(stack: Stack, b: Neighbour, known: bool) -> None:
    """A key of 60 calls a minute reads one request, or guesses ids. A client of its that polls is never refused."""
    calm = measure(b, rounds=6)
    stop = threading.Event()
    gateway = stack.children["gateway"].pid
    with neighbour(stack, "a", requests_per_minute=60) as a, ThreadPoolExecutor(2) as threads:
        target, polled = submitted(a, "hammered"), submitted(a, "polled")
        ids = [target] if known else [f"gen_{n:026}" for n in range(READERS)]
        with PeakMemory(gateway) as memory:
            began = time.monotonic()
            try:
                flood = threads.submit(asyncio.run, reads(a, ids, stop))
                client = threads.submit(polls, a, polled, stop)
                harassed = measure(b, rounds=6)
                time.sleep(max(0, began + 4 - time.monotonic()))
            finally:
                stop.set()
            found, taken = flood.result(timeout=60), time.monotonic() - began
    passed = found.total() - found[429]
    sys.stdout.write(f"{found.total()} reads in {taken:.1f} s, {passed} passed; gateway +{memory.grown >> 20} MiB\n")
    most = 180 + 30 * taken if known else 6 + taken
    assert found[429] > 0
    assert passed <= most + READERS
    assert set(client.result()) == {202}
    assert memory.grown < MOST_MEMORY
    assert_unharmed(calm, harassed, within=WITHIN)
