"""rediss://: the client and the broker use TLS, and only with servers that the CA file certifies.

The wheel's redis-server has no TLS: a proxy ends it in front of a real one, as a managed Redis' does.
"""

import asyncio
import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis as redis_py
from kombu.exceptions import OperationalError
from redis.asyncio.connection import SSLConnection

from sandbox.certificate import write_certificate
from service.cli.dev.embedded_redis import EmbeddedRedis
from service.config.redis_urls import Sentinels
from service.config.settings import Settings
from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.store.redis.client import CONNECTIONS, Redis
from service.tasks import celery_app, task_name
from tests.support import factories


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    return write_certificate(tmp_path)


@pytest.fixture
def tls_url(redis_url: str, redis_server: EmbeddedRedis, certificate: tuple[Path, Path]) -> Iterator[str]:
    with _ending_tls(redis_server.port, *certificate) as port:
        yield f"rediss://127.0.0.1:{port}/0"


@contextmanager
def _ending_tls(upstream: int, certificate: Path, key: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                contextlib.suppress(OSError),  # some tests are about refused handshakes
                context.wrap_socket(self.request, server_side=True) as outer,
                socket.create_connection(("127.0.0.1", upstream)) as inner,
            ):
                back = threading.Thread(target=_pump, args=(inner, outer), daemon=True)
                back.start()
                _pump(outer, inner)
                back.join(5)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(5)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def settings(url: str, ca_file: Path | None) -> Settings:
    return factories.settings(url, redis_ca_file=ca_file)


async def test_redis_client_uses_tls(tls_url: str, certificate: tuple[Path, Path]) -> None:
    async with Redis(tls_url, timeout=2, ca_file=certificate[0]) as redis:
        await asyncio.gather(*(redis.execute("INCR", "n") for _ in range(100)))
        assert await redis.execute("GET", "n") == b"100"


async def test_redis_client_rejects_unknown_certificate(tls_url: str) -> None:
    async with Redis(tls_url, timeout=2) as redis:
        for _ in range(2 * CONNECTIONS):
            with pytest.raises(StoreUnavailable):
                await redis.execute("PING")
    for _ in range(5):  # asyncio closes the sockets of refused handshakes in its next turns
        await asyncio.sleep(0)


def test_broker_uses_tls(tls_url: str, redis_url: str, certificate: tuple[Path, Path]) -> None:
    app = celery_app(settings(tls_url, certificate[0]))
    app.send_task(task_name(WorkQueue.DISPATCH), queue="dispatch")
    app.close()
    with redis_py.Redis.from_url(redis_url) as client:
        assert client.llen("{sg}:broker:dispatch") == 1


def test_broker_rejects_unknown_certificate(tls_url: str, redis_url: str) -> None:
    """By default kombu checks no certificate."""
    app = celery_app(settings(tls_url, None))
    with pytest.raises(OperationalError, match="certificate verify failed"):
        app.send_task(task_name(WorkQueue.DISPATCH), queue="dispatch")
    app.close()
    with redis_py.Redis.from_url(redis_url) as client:
        assert client.llen("{sg}:broker:dispatch") == 0


async def test_sentinel_client_uses_tls(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    """For the connections to the Sentinels and to the master that they name."""
    url = "sentinels://127.0.0.1:9/gateway"
    async with Redis(url, timeout=2, ca_file=certificate[0]) as redis:
        assert redis._sentinels is not None
        (asked,) = redis._sentinels.sentinels
        for connection in (redis._new_connection(), asked.connection_pool.make_connection()):
            assert isinstance(connection, SSLConnection)
            context = connection.ssl_context.get()
            assert context.verify_mode is ssl.CERT_REQUIRED
            assert [entry["subject"] for entry in context.get_ca_certs()]
    parsed = Sentinels.parse(url)
    assert parsed is not None
    options = celery_app(settings(url, certificate[0])).conf
    wanted = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": str(certificate[0])}
    assert options.broker_use_ssl == wanted
    assert options.broker_transport_options["sentinel_kwargs"].items() >= {"ssl": True, **wanted}.items()
