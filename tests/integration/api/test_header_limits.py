"""Limits of the request head, which a client can send without a key."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from service.api.http import header_limits
from service.api.http.header_limits import LARGEST_HEAD
from service.app import create_app
from service.config.settings import Settings
from tests.support.served import Served, served

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

        assert caller.recv(65536).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("begin", [b"", b"GET / HTTP/1.1\r\nx: "], ids=["nothing", "half a head"])
@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"], ids=["first", "second"])
def test_head_slow_is_closed(gateway: Served, monkeypatch: pytest.MonkeyPatch, before: bytes, begin: bytes) -> None:
    monkeypatch.setattr(header_limits, "_SECONDS", 0.2)
    url = urlsplit(gateway.url)
    with socket.create_connection((url.hostname, url.port), timeout=10) as caller:
        caller.sendall(before + begin)
        while caller.recv(65536):
            pass


def test_head_timeout_ignores_slow_body(gateway: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header_limits, "_SECONDS", 0.2)
    url = urlsplit(gateway.url)
    key = gateway.run(new_key(gateway))
    head = f"POST /v1/uploads HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: image/png\r\n"
    with socket.create_connection((url.hostname, url.port), timeout=0.6) as caller:
        caller.sendall(head.encode() + b"transfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n")
        with pytest.raises(TimeoutError):
            caller.recv(65536)
        caller.settimeout(10)
        caller.sendall(b"0\r\n\r\n")
        assert caller.recv(65536).startswith(b"HTTP/1.1 422")


@pytest.mark.parametrize("path", ["/v1/generations", "/v1/webhook-endpoints", f"/fal/queue/{MODEL}"])
def test_body_incomplete_returns_408(settings: Settings, path: str) -> None:
    with served(create_app(settings.model_copy(update={**PUBLIC, "upload_timeout": SOON}))) as gateway:
        response = response_to_half_a_body(gateway, path)

    assert response.startswith(b"HTTP/1.1 408")
    assert b"request_timeout" in response
    assert b"connection: close" in response


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
    tenants = gateway.runtime.tenants.service
    return (await tenants.create_key((await tenants.create("acme")).id)).text


def test_head_large_is_accepted(gateway: Served) -> None:
    url = urlsplit(gateway.url)
    with socket.create_connection((url.hostname, url.port), timeout=20) as caller:
        for _ in range(3):
            caller.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: " + b"a" * (LARGEST_HEAD - 1000) + b"\r\n\r\n")
            assert caller.recv(65536).startswith(b"HTTP/1.1 200")
