"""The last dollars of a budget, spent by many concurrent clients through two gateways: all of it, and no more."""

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Self, cast

import httpx
import pytest
import redis as redis_py

from service.cli.dev.child_processes import Child, accepts, free_port
from service.cli.dev.stack import Stack
from service.config.settings import Settings
from service.domain import budgets
from service.domain.pricing import Rates
from service.store import keys

CLIENTS = 64
ROOM_FOR = 40


@pytest.fixture
def gateways() -> Iterator[tuple[Stack, list[str]]]:
    """One stack without a worker, so that nothing is settled meanwhile, and a second gateway."""
    with Stack(worker=False) as stack:
        port = free_port()
        child = Child(
            "second gateway",
            [sys.executable, "-m", "service.cli", "serve", "--port", str(port)],
            log=stack.folder / "second.log",
            environment=stack.environment,
        )
        try:
            child.wait_until(lambda: accepts(port))
            yield stack, [stack.base_url, f"http://127.0.0.1:{port}"]
        finally:
            child.end()


def _estimate(settings: Settings) -> int:
    return Rates(settings.rates).estimate("480p", "5")


async def test_budget_of_forty_admits_forty_of_64_clients(gateways: tuple[Stack, list[str]]) -> None:
    stack, urls = gateways
    cost = _estimate(stack.settings)
    budget = cost * ROOM_FOR + cost // 2
    await _set_budget(stack, budget)
    async with httpx.AsyncClient(timeout=60, headers={"authorization": f"Bearer {stack.api_key}"}) as client:
        with Sampler(stack) as sampler:
            answers = await asyncio.gather(*(_create(client, urls[n % 2], "480p") for n in range(CLIENTS)))
        assert Counter(a.status_code for a in answers) == {202: ROOM_FOR, 402: CLIENTS - ROOM_FOR}
        refusal = next(a.json() for a in answers if a.status_code == 402)
        assert (refusal["code"], refusal["scope"]) == ("budget_exceeded", "tenant_month")
        assert sampler.samples > 1
        assert sampler.highest == cost * ROOM_FOR <= budget
        await _set_budget(stack, cost * (ROOM_FOR + 1))
        assert (await _create(client, urls[1], "480p")).status_code == 202, "the last dollar can be spent"
        assert (await _create(client, urls[0], "480p")).status_code == 402
        audit = await client.get(f"{urls[0]}/admin/v1/audit", headers=_operator(stack))
    assert audit.json()["clean"], audit.text


async def _create(client: httpx.AsyncClient, url: str, resolution: str) -> httpx.Response:
    body = {
        "prompt": "sandbox:no-video",
        "image_url": "https://a.example/b.jpg",
        "resolution": resolution,
        "duration": 5,
    }
    return await client.post(f"{url}/v1/generations", json=body)


async def _set_budget(stack: Stack, micro: int) -> None:
    change = {"limits": {"monthly_budget_usd": f"{micro / 1e6:.6f}"}}
    async with httpx.AsyncClient(headers=_operator(stack)) as client:
        answer = await client.patch(f"{stack.base_url}/admin/v1/tenants/{stack.tenant_id}", json=change)
        assert answer.status_code == 200, answer.text
    await asyncio.sleep(1.1)  # a gateway caches a key and its tenant for a second at most


def _operator(stack: Stack) -> dict[str, str]:
    token = stack.settings.admin_token
    assert token is not None
    return {"authorization": f"Bearer {token.get_secret_value()}"}


class Sampler:
    """Read the tenant's window as often as possible, in a separate thread."""

    def __init__(self, stack: Stack) -> None:
        self._redis = redis_py.Redis.from_url(stack.redis.url)
        self._window = keys.money_of_tenant(stack.tenant_id, budgets.month(datetime.now(UTC)))
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.highest, self.samples = 0, 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(10)
        self._redis.close()

    def _sample(self) -> None:
        while not self._done.is_set():
            held, spent = cast("list[bytes | None]", self._redis.hmget(self._window, "held", "spent"))
            self.highest = max(self.highest, int(held or 0) + int(spent or 0))
            self.samples += 1
