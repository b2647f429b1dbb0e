"""``kill -9`` of a worker with hundreds of polls and webhooks under way: another one has them again in seconds."""

import asyncio
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Self

import httpx
import pytest
import redis as redis_py

from service.cli.dev.stack import Stack
from service.domain.work_queue import WorkQueue
from service.runtime import open_runtime
from service.store import keys
from service.usecases.lifecycle.leases import LEASE
from tests.e2e.conftest import OVERRIDES
from tests.support import factories
from tests.support.chaos.crash_points import POLLING

POLLS: Final = 200
#: Of these, what one worker has under way; the others wait.
UNDER_WAY: Final = 100
WEBHOOKS: Final = 100
#: On a machine that does nothing else it is a third of this.
TAKEN_OVER_WITHIN: Final = 20.0
PATIENCE: Final = 120.0


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


@dataclass
class Slow:
    """fal's sandbox and a webhook receiver behind one server that holds polls and webhooks until it is released."""

    target: str = ""
    held: threading.Event = field(default_factory=threading.Event)
    """Set: polls wait from now on."""
    released: threading.Event = field(default_factory=threading.Event)
    called: dict[str, float] = field(default_factory=dict)
    """When each webhook-id last came."""

    def __enter__(self) -> Self:
        slow = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                if self.path == "/hook":
                    slow.called[self.headers["webhook-id"]] = time.monotonic()
                    slow.released.wait(PATIENCE)
                    self.answer(204, b"")
                    return
                if "/status" in self.path and slow.held.is_set():
                    slow.released.wait(PATIENCE)
                self.answer(*slow.passed_on(self.command, self.path, body, dict(self.headers)))

            do_GET = do_POST = do_PUT = handle_any  # noqa: N815  (the base class's names)

            def answer(self, status: int, content: bytes) -> None:
                try:
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    self.close_connection = True  # the worker was killed

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def passed_on(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        kept = {name: value for name, value in headers.items() if name.lower() in ("authorization", "content-type")}
        answer = httpx.request(method, self.target + path, content=body, headers=kept, trust_env=False, timeout=60)
        return answer.status_code, answer.content


@pytest.fixture
def slow() -> Iterator[Slow]:
    with Slow() as running:
        yield running


@pytest.fixture
def stack(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """One worker, and a second one later."""
    monkeypatch.setenv("SANDBOX_CONCURRENCY", str(POLLS))
    overrides = {
        **OVERRIDES,
        **POLLING,
        "fal_queue_url": f"{slow.url}/queue",
        "fal_timeout": timedelta(seconds=PATIENCE),
        "webhook_timeout": timedelta(seconds=PATIENCE),
        "upstream_concurrency": POLLS,
        "poll_shortest": timedelta(seconds=4),
        "preflight": False,
    }
    running, first = Stack(worker=False, overrides=overrides), None
    try:
        running.start()
        slow.target = running.sandbox_url
        running.start_worker()
        first = running.children["worker"]
        running.start_beat()
        yield running
    finally:
        slow.released.set()
        if first is not None:
            first.end()
        running.end()


@pytest.fixture
def redis(stack: Stack) -> Iterator["redis_py.Redis"]:
    with redis_py.Redis.from_url(stack.redis.url) as client:
        yield client


def _create(stack: Stack) -> None:
    headers = {"authorization": f"Bearer {stack.api_key}"}
    with httpx.Client(base_url=stack.base_url, headers=headers, timeout=60) as client:
        for n in range(POLLS):
            body = {"prompt": f"sandbox:hang sandbox:no-video {n}", "image_url": "https://v3b.fal.media/a.jpg"}
            answer = client.post("/v1/generations", json={**body, "duration": 4, "resolution": "480p"})
            assert answer.status_code == 202, answer.text


async def _announce(stack: Stack, slow: Slow) -> None:
    """A generation that ended, with a hundred webhooks to one receiver."""
    async with open_runtime(stack.settings) as runtime:
        now, owner = runtime.clock(), stack.tenant_id
        made = [factories.delivery(tenant_id=owner, url=f"{slow.url}/hook", created_at=now) for _ in range(WEBHOOKS)]
        g = factories.generation(tenant_id=owner, created_at=now)
        await runtime.stores.generations.create(g, factories.due(now))
        due = factories.due(now + timedelta(days=1))
        assert (await runtime.stores.generations.finish(g.canceled(0, now), due, made, now=now)).won


def _until(done: Callable[[], bool], *, within: float = PATIENCE) -> float:
    """Wait; returns the seconds it took."""
    begun = time.monotonic()
    while not done():
        assert time.monotonic() - begun < within, "it takes too long"
        time.sleep(0.02)
    return time.monotonic() - begun


def _polls(redis: "redis_py.Redis") -> dict[str, float]:
    """When each poll is due; of those under way, when their lease ends."""
    found: Any = redis.zrange(keys.due(WorkQueue.POLL), 0, -1, withscores=True)
    return {name.decode(): score / 1000 for name, score in found}


def _under_way(redis: "redis_py.Redis") -> int:
    return sum(until > time.time() for until in _polls(redis).values())


def test_killed_worker_loses_its_leases_in_seconds(
    stack: Stack, slow: Slow, redis: "redis_py.Redis", capsys: pytest.CaptureFixture[str]
) -> None:
    _create(stack)
    _until(lambda: len(_polls(redis)) == POLLS)
    slow.held.set()
    asyncio.run(_announce(stack, slow))
    _until(lambda: len(slow.called) == WEBHOOKS)
    _until(lambda: sum(until <= time.time() for until in _polls(redis).values()) == POLLS - UNDER_WAY)
    of_the_first = {name for name, until in _polls(redis).items() if until > time.time()}
    assert len(of_the_first) == UNDER_WAY
    first, called = stack.children["worker"], dict(slow.called)
    stack.start_worker()  # the second one has the other polls
    _until(lambda: _under_way(redis) == POLLS)
    time.sleep(2 * LEASE.total_seconds())
    assert slow.called == called, "the first lives, and keeps its webhooks"

    first.kill()
    killed_at, last = time.monotonic(), _polls(redis)
    slow.released.set()

    def taken_over() -> bool:
        now = _polls(redis)
        polls = all(now[name] != last[name] for name in of_the_first)
        return polls and all(at > killed_at for at in slow.called.values())

    took = _until(taken_over, within=TAKEN_OVER_WITHIN)
    with capsys.disabled():
        what = f"{UNDER_WAY} polls and {WEBHOOKS} webhooks of a killed worker"
        print(f"\n{what}: under way again after {took:.1f} s")  # noqa: T201  (the figure that this test measures)
