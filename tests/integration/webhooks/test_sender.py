"""The webhook sender against real servers on loopback, correct and faulty ones."""

import asyncio
import ssl
import threading
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from socket import AF_INET, AF_INET6, SOCK_STREAM, AddressFamily, gaierror
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from service.net.resolver import LOOKUP_THREADS, lookups_of
from service.net.retry_after import MAX_RETRY_AFTER
from service.net.ssrf import AddressGuard
from service.webhooks.sender import EXCERPT_BYTES, NoReceiverResponse, ReceiverResponse, Sender

LOOPBACK = AddressGuard([ip_network("127.0.0.0/8")])
PUBLIC_ONLY = AddressGuard()
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEADERS = {"Content-Type": "application/json", "webhook-id": "msg_1"}
BODY = b'{"type":"webhook.test"}'

Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """The port of a server, and the number of its connections."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0

    def url(self, path: str = "/hook", *, scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@asynccontextmanager
async def raw_server(
    answer: Raw, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    server = Server()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            with suppress(ConnectionError):
                await answer(reader, writer)
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, host, 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server


@asynccontextmanager
async def web_server(handler: Handler) -> AsyncIterator[Server]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = Server()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


def respond_with(answer: bytes) -> Raw:
    """Start a server that reads a request and writes these bytes, whatever they are."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return serve


async def never_answers(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


class FixedResolver(AbstractResolver):
    """Returns the given lists of addresses in order, and then always the last one."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not addresses:
            raise gaierror(-2, "Name or service not known")
        return [self._result(host, port, address) for address in addresses]

    async def close(self) -> None:
        pass

    @staticmethod
    def _result(host: str, port: int, address: str) -> ResolveResult:
        family = AF_INET6 if ":" in address else AF_INET
        return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)


async def post(url: str, guard: AddressGuard = LOOPBACK, **options: Any) -> ReceiverResponse | NoReceiverResponse:
    settings: dict[str, Any] = {"timeout_seconds": 5, "clock": lambda: NOON} | options
    async with Sender(guard, **settings) as sender:
        return await sender.post(url, headers=HEADERS, body=BODY)


async def answered(url: str, guard: AddressGuard = LOOPBACK, **options: Any) -> ReceiverResponse:
    answer = await post(url, guard, **options)
    assert isinstance(answer, ReceiverResponse), answer
    return answer


async def failed(url: str, guard: AddressGuard = LOOPBACK, **options: Any) -> NoReceiverResponse:
    answer = await post(url, guard, **options)
    assert isinstance(answer, NoReceiverResponse), answer
    return answer


# Requests and responses


async def test_sender_sends_body_and_headers_unchanged() -> None:
    seen: list[tuple[web.Request, bytes]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request, await request.read()))
        return web.Response(status=202, text="thank you")

    async with web_server(handler) as server:
        answer = await answered(server.url("/a%2Fb?x=1"), user_agent="gateway/1")
    [(request, body)] = seen
    assert (answer.status, answer.body, answer.retry_after) == (202, "thank you", None)
    assert timedelta() < answer.latency < timedelta(seconds=5)
    assert (request.method, request.raw_path, body) == ("POST", "/a%2Fb?x=1", BODY)
    assert request.headers["Host"] == f"127.0.0.1:{server.port}"
    assert request.headers["User-Agent"] == "gateway/1"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["webhook-id"] == "msg_1"
    assert request.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_sender_does_not_follow_redirects(status: int) -> None:
    requests = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal requests
        requests += 1
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with web_server(handler) as server:
        assert (await answered(server.url())).status == status
    assert requests == 1


@pytest.mark.parametrize("status", [204, 400, 410, 500])
async def test_sender_returns_every_status(status: int) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status)

    async with web_server(handler) as server:
        assert (await answered(server.url())).status == status


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("120", timedelta(minutes=2)),
        (" 0 ", timedelta()),
        ("Sun, 01 Mar 2026 12:05:00 GMT", timedelta(minutes=5)),
        ("Sunday, 01-Mar-26 12:05:00 GMT", timedelta(minutes=5)),
        ("Sun Mar  1 12:05:00 2026", timedelta(minutes=5)),
        ("Sun, 01 Mar 2026 13:05:00 +0100", timedelta(minutes=5)),
        ("Sun, 01 Mar 2026 11:00:00 GMT", timedelta()),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER),
        ("9" * 5000, MAX_RETRY_AFTER),
        ("86401", MAX_RETRY_AFTER),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("Sun, 01 Mar 2026 12:05:00 +9999", None),
    ],
)
async def test_sender_parses_retry_after(header: str, expected: timedelta | None) -> None:
    async with raw_server(respond_with(f"HTTP/1.1 429 Slow\r\nRetry-After:{header}\r\n\r\n".encode())) as server:
        assert (await answered(server.url())).retry_after == expected


async def test_sender_stores_no_cookies() -> None:
    cookies: list[str | None] = []

    async def handler(request: web.Request) -> web.Response:
        cookies.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "a=b"})

    async with web_server(handler) as server, Sender(LOOPBACK) as sender:
        for _ in range(2):
            await sender.post(server.url(), headers=HEADERS, body=BODY)
    assert cookies == [None, None]


async def test_sender_reuses_connection_after_read_response() -> None:
    async def twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await respond_with(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")(reader, writer)
            await reader.readexactly(len(BODY))

    async with raw_server(twice) as server, Sender(LOOPBACK) as sender:
        for _ in range(2):
            assert isinstance(await sender.post(server.url(), headers=HEADERS, body=BODY), ReceiverResponse)
    assert server.connections == 1


async def test_sender_ignores_proxy_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        raw_server(respond_with(b"HTTP/1.1 418 Proxy\r\n\r\n")) as proxy,
        raw_server(respond_with(b"HTTP/1.1 200 OK\r\n\r\n")) as server,
    ):
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await answered(server.url())).status == 200
    assert proxy.connections == 0


# Receivers that waste time or memory


async def test_sender_truncates_response_body() -> None:
    async with raw_server(respond_with(b"HTTP/1.1 500 Oops\r\n\r\n" + b"\xff" + b"x" * 5000)) as server:
        answer = await answered(server.url())
    assert answer.body == "\ufffd" + "x" * (EXCERPT_BYTES - 1)


@pytest.mark.parametrize("with_tls", [False, True])
async def test_sender_truncates_endless_body(with_tls: bool, certificate: tuple[Path, Path]) -> None:
    sent, cut = 0, asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await respond_with(b"HTTP/1.1 200 OK\r\n\r\n")(reader, writer)
        try:
            while True:
                writer.write(b"x" * 65536)
                sent += 65536
                await writer.drain()
        finally:
            cut.set()

    tls, scheme = (server_tls(certificate), "https") if with_tls else (None, "http")
    async with raw_server(endless, tls=tls) as server, Sender(LOOPBACK, tls=trusting(certificate)) as sender:
        answer = await sender.post(server.url(scheme=scheme), headers=HEADERS, body=BODY)
        assert isinstance(answer, ReceiverResponse)
        assert len(answer.body) == EXCERPT_BYTES
        await asyncio.wait_for(cut.wait(), 10)
    assert sent < 20_000_000  # the size of loopback's socket buffers, not of what the sender reads


async def test_sender_bounds_memory_of_endless_header() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await respond_with(b"HTTP/1.1 200 OK\r\nX: ")(reader, writer)
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with raw_server(endless) as server:
        tracemalloc.start()
        answer = await failed(server.url())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (answer.error, answer.detail) == ("other", "the answer is not HTTP")
    assert peak < 10_000_000


async def test_sender_does_not_decompress_response() -> None:
    packed = b"\x1f\x8b\x08" + bytes(7)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n\r\n"
    async with raw_server(respond_with(head + packed)) as server:
        assert (await answered(server.url())).body == packed.decode(errors="replace")


async def test_sender_timeout_is_no_response() -> None:
    async with raw_server(never_answers) as server:
        answer = await failed(server.url(), timeout_seconds=0.05)
    assert (answer.error, answer.detail) == ("timeout", "no answer in time")
    assert answer.latency > timedelta(seconds=0.04)


async def test_sender_body_timeout_keeps_status() -> None:
    async def stalls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await respond_with(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")(reader, writer)
        await never_answers(reader, writer)

    async with raw_server(stalls) as server:
        for seconds in (0.05, 0.5, 5):  # the shortest timeout in which this machine reads the status
            answer = await post(server.url(), LOOPBACK, timeout_seconds=seconds)
            if isinstance(answer, ReceiverResponse):
                break
    assert isinstance(answer, ReceiverResponse)
    assert (answer.status, answer.body) == (200, "half")


async def test_sender_endless_interim_responses_is_no_response() -> None:
    async def send_interim_responses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0)

    async with raw_server(send_interim_responses) as server:
        assert (await failed(server.url(), timeout_seconds=0.05)).error == "timeout"


async def test_sender_latency_excludes_connection_wait() -> None:
    open_now, most = 0, 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(1.2)
        open_now -= 1
        await respond_with(b"HTTP/1.1 200 OK\r\n\r\n")(reader, writer)

    async with raw_server(slow) as server, Sender(LOOPBACK, timeout_seconds=2.2, max_connections=2) as sender:
        posts = (sender.post(server.url(), headers=HEADERS, body=BODY) for _ in range(4))
        answers = await asyncio.gather(*posts)
    assert [type(answer) for answer in answers] == [ReceiverResponse] * 4
    assert most == 2


# Receivers that fail


async def test_sender_dropped_connection_is_no_response() -> None:
    async with raw_server(respond_with(b"")) as server:
        answer = await failed(server.url())
    assert (answer.error, answer.detail) == ("disconnected", "the connection was closed before an answer")


async def test_sender_reset_connection_is_no_response() -> None:
    async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async with raw_server(resets) as server:
        assert (await failed(server.url())).error == "disconnected"


async def test_sender_incomplete_body_keeps_status() -> None:
    async with raw_server(respond_with(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")) as server:
        answer = await answered(server.url())
    assert (answer.status, answer.body) == (200, "half")


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00\x01\x02\xff" * 40,
        b"HTTP/1.1 abc Huh\r\n\r\n",
        b"HTTP/1.1 99999 Huh\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nzz",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: \xff\xfe=;;;\r\nContent-Type: \xff\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00",
        b"HTTP/1.1 301 Moved\r\nLocation: http://[::1\r\n\r\n",
        b"HTTP/1.1 401 Who\r\nWWW-Authenticate: \xff\r\n\r\n",
    ],
)
async def test_sender_malformed_response_never_raises(garbage: bytes) -> None:
    async with raw_server(respond_with(garbage)) as server:
        answer = await post(server.url(), timeout_seconds=1)
    assert isinstance(answer, ReceiverResponse) or answer.error in {"other", "disconnected"}


async def test_sender_connection_refused_is_no_response() -> None:
    async with raw_server(never_answers) as server:
        pass
    answer = await failed(server.url())
    assert (answer.error, answer.detail) == ("connect", "Connection refused")


async def test_sender_unknown_host_is_no_response() -> None:
    answer = await failed("https://receiver.example/", resolver=FixedResolver([]))
    assert (answer.error, answer.detail) == ("dns", "the host name does not resolve")


async def test_sender_resolver_resolves_localhost() -> None:
    async with raw_server(respond_with(b"HTTP/1.1 200 OK\r\n\r\n")) as server:
        assert (await answered(server.url(host="localhost"))).status == 200


async def test_sender_propagates_cancellation() -> None:
    requested = asyncio.Event()

    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requested.set()
        await never_answers(reader, writer)

    async with raw_server(hangs) as server, Sender(LOOPBACK) as sender:
        task = asyncio.create_task(sender.post(server.url(), headers=HEADERS, body=BODY))
        await requested.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_sender_closed_raises() -> None:
    sender = Sender(LOOPBACK)
    await sender.close()
    with pytest.raises(RuntimeError, match="closed"):
        await sender.post("https://example.com/", headers=HEADERS, body=BODY)


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Create a self-signed certificate for receiver.example and 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver.example")])
    now = datetime.now(UTC)
    loopback = x509.IPAddress(ip_network("127.0.0.1/32").network_address)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("receiver.example"), loopback]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


def server_tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate[0])


async def test_sender_verifies_host_name_of_url(certificate: tuple[Path, Path]) -> None:
    names: list[str | None] = []
    context = server_tls(certificate)
    context.sni_callback = lambda _, name, __: names.append(name)
    async with raw_server(respond_with(b"HTTP/1.1 200 OK\r\n\r\n"), tls=context) as server:
        for host in ("receiver.example", "other.example"):
            url = server.url(scheme="https", host=host)
            answer = await post(url, tls=trusting(certificate), resolver=FixedResolver(["127.0.0.1"]))
            if host == "receiver.example":
                assert isinstance(answer, ReceiverResponse)
                continue
            assert isinstance(answer, NoReceiverResponse)
            assert answer.error == "tls"
            assert "not valid for 'other.example'" in answer.detail
    assert names == ["receiver.example", "other.example"]


async def test_sender_self_signed_certificate_is_refused(certificate: tuple[Path, Path]) -> None:
    async with raw_server(never_answers, tls=server_tls(certificate)) as server:
        answer = await failed(server.url(scheme="https"))
    assert (answer.error, answer.detail) == ("tls", "self-signed certificate")


async def test_sender_plain_server_on_https_is_refused() -> None:
    async with raw_server(lambda _, writer: answer_at_once(writer)) as server:
        answer = await failed(server.url(scheme="https"))
    assert (answer.error, answer.detail) == ("tls", "wrong version number")


async def answer_at_once(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


# Addresses


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "https://127.0.0.1:{port}/", "https://localhost:{port}/"])
async def test_ssrf_loopback_is_refused_unless_allowed(url: str) -> None:
    async with raw_server(never_answers) as server:
        answer = await failed(url.format(port=server.port), PUBLIC_ONLY)
    assert answer.error == "refused_address"
    assert server.connections == 0


async def test_ssrf_url_is_checked_on_every_post() -> None:
    async with raw_server(never_answers) as server:
        answer = await failed(server.url(host="user:secret@127.0.0.1"))
    assert (answer.error, answer.detail) == ("refused_address", "the URL carries credentials")
    assert server.connections == 0


async def test_ssrf_literal_address_is_checked_at_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AddressGuard, "check_url", lambda _, __: None)
    async with raw_server(never_answers) as server:
        for scheme in ("http", "https"):
            answer = await failed(server.url(scheme=scheme), PUBLIC_ONLY)
            assert (answer.error, answer.detail) == ("refused_address", "the address is not allowed")
    assert server.connections == 0


async def test_ssrf_rebinding_between_check_and_connect() -> None:
    """Rebinding: the name is public when the tenant registers it, and loopback at the attempt."""
    resolver = FixedResolver(["93.184.215.14"], ["127.0.0.1"])
    registered = await resolver.resolve("rebind.example", 443)
    assert registered[0]["host"] == "93.184.215.14"
    async with raw_server(never_answers) as server:
        url = server.url(scheme="https", host="rebind.example")
        PUBLIC_ONLY.check_url(url)
        answer = await failed(url, PUBLIC_ONLY, resolver=resolver)
    assert (answer.error, answer.detail) == ("refused_address", "the address is not allowed")
    assert server.connections == 0


@pytest.mark.parametrize("addresses", [["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.1", "::1"]])
async def test_ssrf_refused_address_among_others_is_skipped(addresses: list[str]) -> None:
    only_one = AddressGuard([ip_network("127.0.0.2/32")])
    async with raw_server(never_answers) as server:
        answer = await failed(
            server.url(host="mixed.example"), only_one, resolver=FixedResolver(addresses), timeout_seconds=1
        )
    assert answer.error in {"refused_address", "connect"}
    assert "127.0.0" not in answer.detail
    assert server.connections == 0


async def test_ssrf_allowed_address_after_refused_is_used() -> None:
    async with raw_server(respond_with(b"HTTP/1.1 200 OK\r\n\r\n")) as server:
        answer = await answered(server.url(host="dual.example"), resolver=FixedResolver(["::1", "127.0.0.1"]))
    assert answer.status == 200


async def test_ssrf_resolver_result_of_other_name_is_refused() -> None:
    async with raw_server(never_answers) as server:
        answer = await failed(server.url(host="alias.example"), resolver=FixedResolver(["localhost"]))
    assert answer.error == "refused_address"
    assert server.connections == 0


async def test_ssrf_plain_http_needs_allowed_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback acts as a public address: accepted for https, refused for http, whatever else the operator allows."""
    monkeypatch.setattr("service.net.ssrf.is_public", lambda _: True)
    guard = AddressGuard([ip_network("10.1.0.0/16")])
    async with raw_server(lambda _, writer: answer_at_once(writer)) as server:
        for scheme, error in (("http", "refused_address"), ("https", "tls")):
            url = server.url(scheme=scheme, host="receiver.example")
            assert (await failed(url, guard, resolver=FixedResolver(["127.0.0.1"]), timeout_seconds=1)).error == error


# Names


async def test_silent_name_server_delays_only_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host name for each customer, and their name server is down: each lookup takes much longer than its attempt."""
    up_again = threading.Event()
    lookups: Counter[str] = Counter()

    def resolve_name(host: str, *_: Any, **__: Any) -> list[Any]:
        lookups[host.partition(".")[2]] += 1
        if host.endswith(".silent.example"):
            up_again.wait(20)
        return [(AF_INET, SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr("service.net.resolver.socket.getaddrinfo", resolve_name)
    async with (
        raw_server(respond_with(b"HTTP/1.1 200 OK\r\n\r\n")) as server,
        Sender(LOOPBACK, timeout_seconds=1) as sender,
    ):
        silent = [server.url(host=f"{n}.hooks.silent.example") for n in range(LOOKUP_THREADS + 10)]
        answers = await asyncio.gather(*(sender.post(url, headers=HEADERS, body=BODY) for url in silent))
        assert {answer.error for answer in answers if isinstance(answer, NoReceiverResponse)} == {"timeout"}
        with lookups_of("another tenant"):
            other = await sender.post(server.url(host="other.example"), headers=HEADERS, body=BODY)
        up_again.set()
    assert isinstance(other, ReceiverResponse), other
    assert lookups["hooks.silent.example"] < LOOKUP_THREADS / 2
