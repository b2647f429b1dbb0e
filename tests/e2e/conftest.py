"""Stacks of real processes, and a tenant that uses them over HTTP only."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from math import inf
from pathlib import Path
from typing import Any

import httpx
import pytest

import sandbox
from service.cli.dev.stack import Stack
from tests.conftest import in_e2e
from tests.support.histories.checker import violations
from tests.support.histories.operations import History, events_of
from tests.support.histories.recorder import recording_client
from tests.support.receiver import Receiver

SAMPLES = Path(sandbox.__file__).parent / "samples"
#: A short schedule for tests; unit tests check the real one with an injected clock.
SCHEDULE = tuple(timedelta(seconds=s) for s in (0, 0.2, 0.2, 0.2))
OVERRIDES = {"webhook_schedule": SCHEDULE, "poll_shortest": timedelta(seconds=0.2)}


@dataclass(frozen=True)
class TenantClient:
    """The URL and the key of a tenant."""

    http: httpx.Client
    stack: Stack
    history: History = field(default_factory=History)
    """What this client did and received."""

    def upload(self, name: str = "rocket.jpg") -> str:
        kinds = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
        photo = SAMPLES / name
        answer = self.http.post(
            "/v1/uploads", content=photo.read_bytes(), headers={"content-type": kinds[photo.suffix]}
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["url"])

    def create(self, prompt: str = "sandbox:no-video", **changes: Any) -> Any:
        body = {"prompt": prompt, "image_url": "https://v3b.fal.media/a.jpg", "duration": 4, "resolution": "480p"}
        answer = self.http.post("/v1/generations", json={**body, **changes})
        assert answer.status_code == 202, answer.text
        return answer.json()

    def read(self, generation_id: str, *, wait: int = 0) -> Any:
        answer = self.http.get(f"/v1/generations/{generation_id}", params={"wait": wait})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait_for(self, generation_id: str, wanted: Callable[[Any], bool], *, within: float = 120) -> Any:
        give_up = time.monotonic() + within
        while True:
            g = self.read(generation_id, wait=2)
            if wanted(g):
                return g
            assert time.monotonic() < give_up, f"still {g['status']} after {within} s"

    def ended(self, generation_id: str, *, within: float = 120) -> Any:
        return self.wait_for(generation_id, lambda g: g["finished_at"] is not None, within=within)

    def assert_history(self, receiver: Receiver | None, *, failover_at: float = -inf) -> None:
        """Assert that all operations so far agree with each other, with fal, and with the webhooks of the receiver."""
        events = None
        if receiver is not None:
            ended = {view.id for one in list(self.history.operations) for view in one.views if view.is_ended}
            receiver.wait_for(lambda came: {event.view.id for event in events_of(came)} >= ended)
            assert all(event.is_signed(self.stack.webhook_secret) for event in receiver.received)
            events = events_of(receiver.received)
        submits = [one["prompt"] for one in self._oracle()]
        assert violations(list(self.history.operations), events, submits, failover_at=failover_at) == []

    def submits(self, prompt: str) -> list[Any]:
        """Return the submits with this prompt that fal would bill, from the oracle."""
        return [submit for submit in self._oracle() if submit["prompt"] == prompt]

    def _oracle(self) -> list[Any]:
        seen: list[Any] = httpx.get(f"{self.stack.sandbox_url}/_sandbox/requests").raise_for_status().json()
        return seen


def client_of(stack: Stack) -> TenantClient:
    history = History()
    return TenantClient(recording_client(stack.base_url, stack.api_key, history), stack, history)


_SHARED = pytest.StashKey[ExitStack]()


@pytest.fixture(scope="session")
def shared(pytestconfig: pytest.Config) -> Iterator[ExitStack]:
    """Return a context for the processes that the tests of this folder share."""
    with ExitStack() as opened:
        pytestconfig.stash[_SHARED] = opened
        yield opened


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the shared processes with the last test of this folder: they would slow down the other tests."""
    if nextitem is not None and not in_e2e(nextitem) and (opened := item.config.stash.get(_SHARED, None)):
        opened.close()


@pytest.fixture(scope="session")
def stack(shared: ExitStack) -> Stack:
    """Return a stack for tests that break nothing."""
    return shared.enter_context(Stack(overrides=OVERRIDES))


@pytest.fixture
def tenant(stack: Stack) -> Iterator[TenantClient]:
    client = client_of(stack)
    with client.http:
        yield client


@pytest.fixture(scope="module")
def own_stack() -> Iterator[Stack]:
    """Return a stack of the module. Its tests may kill processes, and start them again."""
    with Stack(overrides=OVERRIDES) as running:
        yield running


@pytest.fixture
def own_tenant(own_stack: Stack) -> Iterator[TenantClient]:
    client = client_of(own_stack)
    with client.http:
        yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running
