"""Tenant A fills Redis at no cost: creates and cancels with 20 endpoints, test events, invented end users."""

import itertools
import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final, Self

import httpx
import pytest
import redis as redis_py

from service.cli.dev.stack import Stack
from service.store import keys
from tests.e2e.conftest import OVERRIDES
from tests.support.neighbours import Neighbour, assert_unharmed, measure, neighbour

ENDPOINTS: Final = 20
PAIRS: Final = 40
#: A's own limits, so that it reaches each within seconds; by default they are larger.
LIMITS: Final = {"daily_generations": PAIRS, "stored_deliveries": 5_000, "undelivered_tests": 10}
#: Bytes of a pair: record and body of the event, each the request and what Redis rounds it up to; a reference for each
#: endpoint, with its entries in indexes and up to four attempts; entries of the generation.
BYTES_OF_A_REFERENCE: Final = 2_000
BYTES_OF_ENTRIES: Final = 3_000
ROUNDS: Final = 15
#: A and B share the cores of the machine, and A calls without pause: an upload of B, which is computing, takes longer.
WITHIN_SECONDS: Final = 5.0

#: The largest create: the prompt has 4 bytes for each character.
LARGE: Final[dict[str, Any]] = {
    "prompt": "\U0001f680" * 4_000,
    "image_url": "https://v3b.fal.media/a.jpg",
    "duration": 4,
    "resolution": "480p",
    "metadata": {f"key-{number:02}": "x" * 500 for number in range(16)},
}
REQUEST_BYTES: Final = len(json.dumps(LARGE, ensure_ascii=False).encode())


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(overrides=OVERRIDES) as running:
        yield running


@pytest.fixture
def redis(stack: Stack) -> Iterator["redis_py.Redis"]:
    with redis_py.Redis.from_url(stack.redis.url, decode_responses=True) as client:
        yield client


@pytest.fixture
def tenants(stack: Stack) -> Iterator[Any]:
    """``tenants("a", weight=2)``: a tenant of the stack."""
    with ExitStack() as opened:
        yield lambda name, **limits: opened.enter_context(neighbour(stack, name, **limits))


def endpoints_of(tenant: Neighbour, *, enabled: bool) -> list[str]:
    body = {"url": "http://127.0.0.1:65533/", "enabled": enabled}
    made = [tenant.http.post("/v1/webhook-endpoints", json=body).raise_for_status().json() for _ in range(ENDPOINTS)]
    return [endpoint["id"] for endpoint in made]


def bytes_of(redis: "redis_py.Redis", tenant: Neighbour) -> int:
    """Bytes of all keys of a tenant: its own, and its generations, deliveries and events."""
    names = set(redis.scan_iter(f"*{tenant.id}*", count=1000))
    for index, key in (
        (keys.generations_of_tenant(tenant.id), keys.generation),
        (keys.deliveries_of_tenant(tenant.id), keys.delivery),
    ):
        names |= {key(str(name)) for name in redis.zrange(index, 0, -1)}
    deliveries = [name for name in names if name.startswith(keys.delivery(""))]
    names |= {keys.event(str(redis.hget(name, "e"))) for name in deliveries}
    return sum(redis.memory_usage(name, samples=0) or 0 for name in names)


def create_and_cancel(tenant: Neighbour, body: dict[str, Any]) -> httpx.Response:
    answer = tenant.http.post("/v1/generations", json=body)
    if answer.status_code == 202:
        tenant.http.post(f"/v1/generations/{answer.json()['id']}/cancel")
    return answer


@pytest.mark.parametrize("enabled", [False, True], ids=["disabled", "enabled"])
def test_storage_of_a_pair_with_20_endpoints_is_bounded(
    redis: "redis_py.Redis", tenants: Any, *, enabled: bool
) -> None:
    a = tenants("a")
    endpoints_of(a, enabled=enabled)
    before = bytes_of(redis, a)
    for _ in range(10):
        assert create_and_cancel(a, LARGE).status_code == 202
    pair = (bytes_of(redis, a) - before) / 10
    sys.stdout.write(f"{pair:,.0f} bytes a pair, of a request of {REQUEST_BYTES:,} bytes\n")
    assert pair <= 3 * REQUEST_BYTES + ENDPOINTS * BYTES_OF_A_REFERENCE + BYTES_OF_ENTRIES


@dataclass
class Attack:
    """Everything that stores something at no cost, without pause, in several threads."""

    tenant: Neighbour
    endpoints: list[str]
    answers: Counter[str] = field(default_factory=Counter)
    _end: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        calls = (self._pairs, self._pairs, self._tests)
        self._threads = [threading.Thread(target=self._repeat, args=(call,), daemon=True) for call in calls]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, call: Any) -> None:
        for number in itertools.count():
            if self._end.is_set():
                return
            answer = call(f"{threading.get_ident()}-{number}")
            self.answers[answer.json()["code"] if answer.is_error else "accepted"] += 1

    def _pairs(self, name: str) -> httpx.Response:
        return create_and_cancel(self.tenant, {**LARGE, "end_user_id": f"invented-{name}"})

    def _tests(self, _: str) -> httpx.Response:
        return self.tenant.http.post(f"/v1/webhook-endpoints/{self.endpoints[0]}/test")


def test_storage_of_a_hostile_tenant_stays_within_its_limits(redis: "redis_py.Redis", tenants: Any) -> None:
    a, b = tenants("a", **LIMITS), tenants("b")
    calm = measure(b, rounds=ROUNDS)
    endpoints = endpoints_of(a, enabled=True)
    before = bytes_of(redis, a)
    with Attack(a, endpoints) as attack:
        harassed = measure(b, rounds=ROUNDS)
    grown = bytes_of(redis, a) - before
    sys.stdout.write(f"A stores {grown / 1e6:.2f} MB; answers to A: {dict(attack.answers)}\n")
    assert_unharmed(calm, harassed, within=WITHIN_SECONDS)
    assert attack.answers["daily_limited"] > 0
    assert attack.answers["too_many_tests"] > 0
    pair = 3 * REQUEST_BYTES + ENDPOINTS * BYTES_OF_A_REFERENCE + BYTES_OF_ENTRIES
    stored = redis.zcard(keys.deliveries_of_tenant(a.id))
    assert redis.zcard(keys.generations_of_tenant(a.id)) <= PAIRS
    assert grown <= PAIRS * pair + (stored - PAIRS * ENDPOINTS) * BYTES_OF_A_REFERENCE


def test_storage_invented_end_users_are_bounded(redis: "redis_py.Redis", tenants: Any) -> None:
    a = tenants("a", daily_new_end_users=5)
    body = {**LARGE, "prompt": "a cat", "metadata": {}}
    codes = Counter(
        create_and_cancel(a, {**body, "end_user_id": f"invented-{number}"}).json().get("code") for number in range(15)
    )
    assert codes == {None: 5, "new_end_users_limited": 10}
    assert len(list(redis.scan_iter(f"{keys.end_user(a.id, '')}*[0-9a-f]"))) == 5
