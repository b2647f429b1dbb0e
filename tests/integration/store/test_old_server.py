"""A server older than the oldest supported one: all processes refuse to start. A relay changes its version."""

import contextlib
import os
import re
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from service.app import create_app
from service.cli.dev.embedded_redis import EmbeddedRedis
from service.store.redis import health
from service.store.redis.client import Redis
from tests.support import factories


@pytest.fixture
def old_url(redis_url: str, redis_server: EmbeddedRedis) -> Iterator[str]:
    """Return the URL of a relay that makes a Redis 6 of every version."""

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", redis_server.port)) as inner:
                threading.Thread(target=_pump, args=(inner, self.request), daemon=True).start()
                _pump(self.request, inner)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield redis_url.replace(f":{redis_server.port}/", f":{server.server_address[1]}/")
        server.shutdown()
        thread.join(5)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(re.sub(rb"(redis_version:)\d(\.\d)", rb"\g<1>6\g<2>", data))
        sink.shutdown(socket.SHUT_WR)


async def test_serve_with_old_redis_refuses_to_start(old_url: str) -> None:
    app = create_app(factories.settings(old_url))
    with pytest.raises(RuntimeError, match=r"Redis 6\.\S+ is too old\. Run Redis 7\.0 or later, or Valkey\."):
        async with app.router.lifespan_context(app):
            pytest.fail("the gateway started")


@pytest.mark.parametrize("process", ["worker", "beat"])
def test_celery_process_with_old_redis_refuses_to_start(old_url: str, process: str) -> None:
    command = [sys.executable, "-m", "service.cli", process]
    environment = {**os.environ, **factories.settings(old_url).environment()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 1
    assert "is too old. Run Redis 7.0 or later, or Valkey." in done.stderr


async def test_server_of_this_run_is_accepted(redis_url: str) -> None:
    async with Redis(redis_url, timeout=2) as redis:
        await health.refuse_old(redis)


async def test_unavailable_server_is_not_refused() -> None:
    async with Redis("redis://127.0.0.1:1/0", timeout=2) as redis:
        await health.refuse_old(redis)
