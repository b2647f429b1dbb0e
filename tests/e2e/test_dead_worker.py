"""``kill -9`` of a worker with hundreds of polls and webhooks in progress: another worker repeats them in seconds."""

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
from tests.support.chaos.trial import POLLING

POLLS: Final = 200
#: Polls that one worker processes concurrently; the others wait.
CONCURRENT: Final = 100
WEBHOOKS: Final = 100
#: Seconds; on an idle machine the takeover lasts a third of this.
TAKEOVER_LIMIT: Final = 20.0
PATIENCE: Final = 120.0


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


@dataclass
class SlowServer:
    """A server in front of the sandbox, and a webhook receiver. It delays polls and webhooks until it is released."""

    target: str = ""
    held: threading.Event = field(default_factory=threading.Event)
    """When set, polls wait."""
    released: threading.Event = field(default_factory=threading.Event)
    called: dict[str, float] = field(default_factory=dict)
    """Time of the last request of each webhook-id."""

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
                self.answer(*slow.forward(self.command, self.path, body, dict(self.headers)))

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
                """Log nothing."""

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

    def forward(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        forwarded = {
            name: value for name, value in headers.items() if name.lower() in ("authorization", "content-type")
        }
        answer = httpx.request(method, self.target + path, content=body, headers=forwarded, trust_env=False, timeout=60)
        return answer.status_code, answer.content


@pytest.fixture
def slow() -> Iterator[SlowServer]:
    with SlowServer() as running:
        yield running


@pytest.fixture
def stack(slow: SlowServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """A stack with one worker. The test starts a second one."""
    monkeypatch.setenv("SANDBOX_CONCURRENCY", str(POLLS))
    overrides = {
        **OVERRIDES,
        **POLLING,
        "fal_queue_url": f"{slow.url}/queue",
        "fal_timeout": timedelta(seconds=PATIENCE),
        "webhook_timeout": timedelta(seconds=PATIENCE),
        "webhook_unproven_concurrency": WEBHOOKS,
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


async def _announce(stack: Stack, slow: SlowServer) -> None:
    """Create an ended generation with a hundred webhooks to one receiver."""
    async with open_runtime(stack.settings) as runtime:
        now, owner = runtime.clock(), stack.tenant_id
        deliveries = [
            factories.delivery(tenant_id=owner, url=f"{slow.url}/hook", created_at=now) for _ in range(WEBHOOKS)
        ]
        g = factories.generation(tenant_id=owner, created_at=now)
        due = factories.due(now + timedelta(days=1))  # a worker would dispatch it before its end is written
        await runtime.stores.generations.create(g, due)
        assert (await runtime.stores.generations.finish(g.canceled(0, now), due, deliveries, now=now)).won


def _until(done: Callable[[], bool], *, within: float = PATIENCE) -> float:
    """Wait for the condition. Return the seconds that it took."""
    started_at = time.monotonic()
    while not done():
        assert time.monotonic() - started_at < within, "the condition did not become true"
        time.sleep(0.02)
    return time.monotonic() - started_at


def _polls(redis: "redis_py.Redis") -> dict[str, float]:
    """Return when each poll is due, or when the lease of a running poll ends."""
    found: Any = redis.zrange(keys.due(WorkQueue.POLL), 0, -1, withscores=True)
    return {name.decode(): score / 1000 for name, score in found}


def _running_polls(redis: "redis_py.Redis") -> int:
    return sum(until > time.time() for until in _polls(redis).values())


def test_lease_of_killed_worker_ends_in_seconds(
    stack: Stack, slow: SlowServer, redis: "redis_py.Redis", capsys: pytest.CaptureFixture[str]
) -> None:
    _create(stack)
    _until(lambda: len(_polls(redis)) == POLLS)
    slow.held.set()
    asyncio.run(_announce(stack, slow))
    _until(lambda: len(slow.called) == WEBHOOKS)
    _until(lambda: sum(until <= time.time() for until in _polls(redis).values()) == POLLS - CONCURRENT)
    of_first_worker = {name for name, until in _polls(redis).items() if until > time.time()}
    assert len(of_first_worker) == CONCURRENT
    first, called = stack.children["worker"], dict(slow.called)
    stack.start_worker()  # the second worker claims the other polls
    _until(lambda: _running_polls(redis) == POLLS)
    time.sleep(2 * LEASE.total_seconds())
    assert slow.called == called, "the first worker is alive and renews the leases of its webhooks"

    first.kill()
    killed_at, last = time.monotonic(), _polls(redis)
    slow.released.set()

    def taken_over() -> bool:
        now = _polls(redis)
        polls = all(now[name] != last[name] for name in of_first_worker)
        return polls and all(at > killed_at for at in slow.called.values())

    seconds = _until(taken_over, within=TAKEOVER_LIMIT)
    with capsys.disabled():
        work = f"{CONCURRENT} polls and {WEBHOOKS} webhooks of a killed worker"
        print(f"\n{work}: repeated after {seconds:.1f} s")  # noqa: T201  (the figure that this test measures)
