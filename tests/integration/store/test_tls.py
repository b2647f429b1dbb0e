"""rediss://: client and broker use TLS with the gateway's user, and only with servers that the CA file certifies.

A server may ask for a client certificate, which the URL names. Redis of distributions has TLS. The wheel's server has
none: a proxy ends it in front of a real one, as a managed Redis' does.
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
from redis.exceptions import NoPermissionError

from sandbox.certificate import write_certificate
from service.cli.dev.child_processes import free_port
from service.cli.dev.embedded_redis import EmbeddedRedis
from service.config.redis_urls import Sentinels
from service.config.settings import Settings
from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.store.redis.client import CONNECTIONS, Redis
from service.tasks import celery_app, task_name
from tests.support import factories
from tests.support.redis_users import PASSWORD


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    return write_certificate(tmp_path)


@pytest.fixture
def tls_url(redis_url: str, redis_server: EmbeddedRedis, certificate: tuple[Path, Path]) -> Iterator[str]:
    with _tls_port(redis_server, *certificate) as port:
        yield f"rediss://gateway:{PASSWORD}@127.0.0.1:{port}/0"


@pytest.fixture
def client_certificate(tmp_path: Path) -> tuple[Path, Path]:
    return write_certificate(tmp_path / "client")


@pytest.fixture
def mutual_url(
    redis_url: str,
    redis_server: EmbeddedRedis,
    certificate: tuple[Path, Path],
    client_certificate: tuple[Path, Path],
) -> Iterator[str]:
    """Return the URL of a server that accepts one client certificate only."""
    with _tls_port(redis_server, *certificate, client_ca=client_certificate[0]) as port:
        yield f"rediss://gateway:{PASSWORD}@127.0.0.1:{port}/0"


def with_certificate(url: str, certificate: tuple[Path, Path]) -> str:
    return f"{url}?ssl_certfile={certificate[0]}&ssl_keyfile={certificate[1]}"


@contextmanager
def _tls_port(server: EmbeddedRedis, certificate: Path, key: Path, client_ca: Path | None = None) -> Iterator[int]:
    """Let the server open a port with TLS. The wheel's server has none: a proxy opens the port instead."""
    port = free_port()
    options: dict[str, str | int] = {
        "tls-cert-file": str(certificate),
        "tls-key-file": str(key),
        "tls-ca-cert-file": str(client_ca or certificate),
        "tls-auth-clients": "no" if client_ca is None else "yes",
        "tls-port": port,
    }
    if not _has_tls(server):
        with _ending_tls(server.port, certificate, key, client_ca) as port:
            yield port
        return
    with redis_py.Redis.from_url(server.url) as client:
        client.execute_command("CONFIG", "SET", *(word for option in options.items() for word in option))
        yield port
        client.execute_command("CONFIG", "SET", "tls-port", 0)


def _has_tls(server: EmbeddedRedis) -> bool:
    """Return whether the running server has loaded OpenSSL. Valkey without it ends when TLS is configured."""
    with redis_py.Redis.from_url(server.url) as client:
        maps = Path(f"/proc/{client.info('server')['process_id']}/maps")
    return maps.exists() and "libssl" in maps.read_text()


@contextmanager
def _ending_tls(upstream: int, certificate: Path, key: Path, client_ca: Path | None = None) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED

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
        await asyncio.gather(*(redis.execute("INCR", "{sg}:n") for _ in range(100)))
        assert await redis.execute("GET", "{sg}:n") == b"100"


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


async def test_redis_client_sends_its_certificate(
    mutual_url: str, certificate: tuple[Path, Path], client_certificate: tuple[Path, Path]
) -> None:
    async with Redis(with_certificate(mutual_url, client_certificate), timeout=10, ca_file=certificate[0]) as redis:
        assert await redis.execute("SET", "{sg}:n", 1) == b"OK"
    other = with_certificate(mutual_url, certificate)
    for url in (mutual_url, other):
        async with Redis(url, timeout=2, ca_file=certificate[0]) as redis:
            with pytest.raises(StoreUnavailable):
                await redis.execute("PING")


def test_broker_sends_its_certificate(
    mutual_url: str, redis_url: str, certificate: tuple[Path, Path], client_certificate: tuple[Path, Path]
) -> None:
    send(settings(with_certificate(mutual_url, client_certificate), certificate[0]))
    elsewhere = mutual_url.replace("127.0.0.1", "localhost")  # kombu shares connections between apps with equal URLs
    with pytest.raises(OperationalError):
        send(settings(elsewhere, certificate[0]))
    with redis_py.Redis.from_url(redis_url) as client:
        assert client.llen("{sg}:broker:dispatch") == 1


def send(own: Settings) -> None:
    app = celery_app(own)
    try:
        app.send_task(task_name(WorkQueue.DISPATCH), queue="dispatch", retry=False)
    finally:
        app.close()


@pytest.mark.parametrize(
    ("wrong", "right"), [("wrong-password", PASSWORD), ("nobody:", "gateway:")], ids=["password", "user"]
)
async def test_wrong_login_over_tls_is_refused(
    tls_url: str, redis_url: str, certificate: tuple[Path, Path], wrong: str, right: str
) -> None:
    """For the client and the broker; the message names neither user nor password."""
    url = tls_url.replace(right, wrong, 1)
    async with Redis(url, timeout=2, ca_file=certificate[0]) as redis:
        with pytest.raises(StoreUnavailable) as refusal:
            await redis.execute("PING")
    assert PASSWORD not in refusal.value.detail
    with pytest.raises(OperationalError):
        await asyncio.to_thread(send, settings(url, certificate[0]))


async def test_user_over_tls_reaches_its_own_keys_only(tls_url: str, certificate: tuple[Path, Path]) -> None:
    async with Redis(tls_url, timeout=10, ca_file=certificate[0]) as redis:
        assert await redis.execute("SET", "{sg}:n", 1) == b"OK"
        with pytest.raises(NoPermissionError):
            await redis.execute("GET", "another application's key")


def test_broker_of_its_own_url_uses_tls_and_user(tls_url: str, redis_url: str, certificate: tuple[Path, Path]) -> None:
    """GATEWAY_BROKER_URL with TLS, next to a GATEWAY_REDIS_URL without."""
    send(factories.settings(redis_url, broker_url=tls_url, redis_ca_file=certificate[0]))
    with redis_py.Redis.from_url(redis_url) as client:
        assert client.llen("{sg}:broker:dispatch") == 1


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
