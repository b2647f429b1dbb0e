"""Limits of connections: heads, rests of bodies, idle time, number. A client needs no key to reach them."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from service.api.http import connection_limits
from service.api.http.connection_limits import LARGEST_HEAD
from service.app import create_app
from service.config.settings import Settings
from tests.support.raw_http import read_response
from tests.support.served import Served, served
from tests.support.waiting import eventually

MODEL = "bytedance/seedance-2.0/image-to-video"
SENT = 8_000_000
PUBLIC = {"public_url": "https://gateway.test"}
SOON = timedelta(seconds=0.2)


@pytest.fixture
def gateway(settings: Settings) -> Iterator[Served]:
    with served(create_app(settings)) as running:
        yield running


def until_the_end(gateway: Served, *, begin: bytes, piece: bytes) -> None:
    """Return the response to a client that sends megabytes of a head without an end."""
    url = urlsplit(gateway.url)
    with socket.create_connection((url.hostname, url.port), timeout=10) as caller, suppress(ConnectionError):
        caller.sendall(begin + piece * (SENT // len(piece)))
        while caller.recv(65536):
            pass


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"GET /", b"a"),
        (b"GET / HTTP/1.1\r\nx: ", b"a"),
        (b"GET / HTTP/1.1\r\n", b"x: aaaa\r\n"),
        (b"POST /v1/generations HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"x: aaaa\r\n"),
    ],
    ids=["url", "header", "headers", "trailers"],
)
def test_head_endless_is_cut_off(gateway: Served, begin: bytes, piece: bytes) -> None:
    until_the_end(gateway, begin=begin, piece=piece)


def test_head_too_large_returns_400(gateway: Served) -> None:
    url = urlsplit(gateway.url)
    with socket.create_connection((url.hostname, url.port), timeout=10) as caller:
        caller.sendall(b"GET / HTTP/1.1\r\nx: ")
        caller.sendall(b"a" * LARGEST_HEAD)

        assert read_response(caller).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("begin", [b"", b"GET / HTTP/1.1\r\nx: "], ids=["nothing", "half a head"])
@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"], ids=["first", "second"])
def test_head_slow_is_closed(gateway: Served, monkeypatch: pytest.MonkeyPatch, before: bytes, begin: bytes) -> None:
    monkeypatch.setattr(connection_limits, "_HEAD_SECONDS", 0.2)
    url = urlsplit(gateway.url)
    with socket.create_connection((url.hostname, url.port), timeout=10) as caller:
        caller.sendall(before + begin)
        while caller.recv(65536):
            pass


def test_head_timeout_ignores_slow_body(gateway: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "_HEAD_SECONDS", 0.2)
    url = urlsplit(gateway.url)
    key = gateway.run(new_key(gateway))
    head = f"POST /v1/uploads HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: image/png\r\n"
    with socket.create_connection((url.hostname, url.port), timeout=0.6) as caller:
        caller.sendall(head.encode() + b"transfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n")
        with pytest.raises(TimeoutError):
            caller.recv(65536)
        caller.settimeout(10)
        caller.sendall(b"0\r\n\r\n")
        assert read_response(caller).startswith(b"HTTP/1.1 422")


@pytest.mark.parametrize("path", ["/v1/generations", "/v1/webhook-endpoints", f"/fal/queue/{MODEL}"])
def test_body_incomplete_returns_408(settings: Settings, path: str) -> None:
    with served(create_app(settings.model_copy(update={**PUBLIC, "upload_timeout": SOON}))) as gateway:
        response = response_to_half_a_body(gateway, path)

    assert response.startswith(b"HTTP/1.1 408")
    assert b"request_timeout" in response
    assert b"connection: close" in response


@pytest.mark.parametrize(
    "head",
    [
        "POST /v1/generations HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n",
        "POST /v1/uploads HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
        f"POST /v1/generations HTTP/1.1\r\nhost: x\r\ncontent-length: {10**12}\r\n\r\n",
        "POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n",
        "DELETE /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n",
    ],
    ids=["401", "401 chunked", "401 huge", "404", "200", "405"],
)
def test_rest_of_body_after_response_is_closed(gateway: Served, monkeypatch: pytest.MonkeyPatch, head: str) -> None:
    monkeypatch.setattr(connection_limits, "_REST_SECONDS", 0.3)
    with connected(gateway) as caller:
        caller.sendall(head.encode())

        assert until_closed(caller, drip=b"x" if "chunked" not in head else b"1\r\nx\r\n").startswith(b"HTTP/1.1 ")


def test_rest_of_body_within_time_keeps_connection(gateway: Served) -> None:
    with connected(gateway) as caller:
        caller.sendall(b"POST /v1/generations HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000\r\n\r\n")
        assert read_response(caller).startswith(b"HTTP/1.1 401")
        caller.sendall(b"x" * 2_000_000 + b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")

        assert read_response(caller).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"], ids=["first", "second"])
def test_connection_with_empty_lines_is_closed(gateway: Served, monkeypatch: pytest.MonkeyPatch, before: bytes) -> None:
    """Empty lines before a head are valid, and start no request."""
    monkeypatch.setattr(connection_limits, "_HEAD_SECONDS", 0.5)
    with connected(gateway) as caller:
        caller.sendall(before)

        until_closed(caller, drip=b"\r\n")


def test_connection_that_reads_nothing_is_closed(gateway: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "_UNREAD_SECONDS", 0.3)
    url = urlsplit(gateway.url)
    with socket.socket() as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        caller.settimeout(10)
        caller.connect((url.hostname, url.port))
        with suppress(OSError):
            for _ in range(2000):
                caller.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n")
        eventually(lambda: not gateway.connections)


def test_connection_beyond_most_closes_longest_idle(settings: Settings) -> None:
    with served(create_app(settings), connections=3) as gateway:
        idle = [connected(gateway) for _ in range(3)]
        for caller in (idle[1], idle[2], idle[0]):
            caller.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert read_response(caller).startswith(b"HTTP/1.1 200")
        with connected(gateway) as newest:
            newest.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert read_response(newest).startswith(b"HTTP/1.1 200")

            assert idle[1].recv(65536) == b""
            idle[0].sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert read_response(idle[0]).startswith(b"HTTP/1.1 200")
        for caller in idle:
            caller.close()


def test_connection_beyond_most_is_closed_if_none_is_idle(settings: Settings) -> None:
    with served(create_app(settings), connections=2) as gateway:
        busy = [uploading(gateway) for _ in range(2)]
        with connected(gateway) as newest:
            assert newest.recv(65536) == b""
        for caller in busy:
            caller.sendall(b"0\r\n\r\n")
            assert read_response(caller).startswith(b"HTTP/1.1 422")
            caller.close()


def test_body_of_get_is_discarded(gateway: Served) -> None:
    """A long poll would hold it in memory for as long as it waits."""
    key = gateway.run(new_key(gateway))
    with connected(gateway) as caller:
        head = f"GET /v1/generations HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
        caller.sendall(head.encode() + b"content-length: 200000\r\n\r\n" + b"x" * 199_999)
        assert read_response(caller).startswith(b"HTTP/1.1 200")
        assert [len(connection.cycle.body) for connection in gateway.connections] == [0]


def test_pipelined_large_body_is_closed(gateway: Served) -> None:
    with uploading(gateway) as caller:
        head = b"POST /v1/uploads HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n"
        with suppress(ConnectionError):
            caller.sendall(b"0\r\n\r\n" + head + b"x" * 300_000)
            until_closed(caller, drip=b"x")
        eventually(lambda: not gateway.connections)


@pytest.mark.parametrize(("requests", "first"), [(17, b"HTTP/1.1 200"), (5000, b"HTTP/1.1 400")])
def test_pipelined_requests_beyond_most_are_closed(gateway: Served, requests: int, first: bytes) -> None:
    with connected(gateway) as caller:
        caller.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * requests)

        assert read_response(caller).startswith(first)


def connected(gateway: Served) -> socket.socket:
    url = urlsplit(gateway.url)
    return socket.create_connection((url.hostname, url.port), timeout=10)


def uploading(gateway: Served) -> socket.socket:
    """Return a connection whose upload is being read."""
    key = gateway.run(new_key(gateway))
    head = f"POST /v1/uploads HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: image/png\r\n"
    caller = connected(gateway)
    caller.sendall(head.encode() + b"expect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n")
    assert read_response(caller).startswith(b"HTTP/1.1 100")
    caller.sendall(b"4\r\nabcd\r\n")
    return caller


def until_closed(caller: socket.socket, *, drip: bytes) -> bytes:
    """Send a piece every tenth of a second until the server closes. Return what it sent."""
    caller.settimeout(0.1)
    received, give_up = b"", time.monotonic() + 30
    while time.monotonic() < give_up:
        try:
            caller.sendall(drip)
            more = caller.recv(65536)
        except TimeoutError:
            continue
        except ConnectionError:
            return received
        if not more:
            return received
        received += more
    raise AssertionError("still open")


def response_to_half_a_body(gateway: Served, path: str) -> bytes:
    url, scheme = urlsplit(gateway.url), "Key" if path.startswith("/fal") else "Bearer"
    lines = [
        f"POST {path} HTTP/1.1",
        "host: x",
        f"authorization: {scheme} {gateway.run(new_key(gateway))}",
        "content-type: application/json",
        "content-length: 100",
    ]
    with socket.create_connection((url.hostname, url.port), timeout=10) as caller:
        caller.sendall("\r\n".join(lines).encode() + b"\r\n\r\n{")
        response = b""
        while more := caller.recv(65536):
            response += more
        return response


async def new_key(gateway: Served) -> str:
    tenants = gateway.runtime.tenants
    return (await tenants.api_keys.create((await tenants.service.create("acme")).id)).text


def test_head_large_is_accepted(gateway: Served) -> None:
    url = urlsplit(gateway.url)
    with socket.create_connection((url.hostname, url.port), timeout=20) as caller:
        for _ in range(3):
            caller.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: " + b"a" * (LARGEST_HEAD - 1000) + b"\r\n\r\n")
            assert read_response(caller).startswith(b"HTTP/1.1 200")
