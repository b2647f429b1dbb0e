"""Bodies in progress: least rate, and the bytes that a tenant and the process hold meanwhile."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from service.api.http import bodies
from service.app import create_app
from service.config.settings import Settings
from tests.support import pictures
from tests.support.factories import create_body
from tests.support.raw_http import read_response
from tests.support.served import Served, served
from tests.support.waiting import eventually

MODEL = "bytedance/seedance-2.0/image-to-video"
CREATE, UPLOAD, SUBMIT = "/v1/generations", "/v1/uploads", f"/fal/queue/{MODEL}"
MOST = 2_000_000
"""Largest body. A tenant may hold one and a half, the process two and a half."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    changes = {
        "public_url": "https://gateway.test",
        "max_inline_bytes": MOST,
        "max_upload_bytes": MOST,
        "body_tenant_memory": MOST * 3 // 2,
        "body_memory": MOST * 5 // 2,
        "upload_tenant_disk": MOST * 3 // 2,
        "upload_disk": MOST * 5 // 2,
    }
    return settings.model_copy(update=changes)


@dataclass(frozen=True)
class Gateway:
    served: Served
    stack: ExitStack

    def key(self) -> str:
        async def new_key() -> str:
            tenants = self.served.runtime.tenants
            return (await tenants.api_keys.create((await tenants.service.create("acme")).id)).text

        return self.served.run(new_key())

    def begin(self, key: str, path: str, length: int | None, body: bytes = b"") -> socket.socket:
        """Begin a request and send this part of its body. ``length`` None: the body is chunked."""
        connection = self.open()
        lines = [
            f"POST {path} HTTP/1.1",
            "host: x",
            f"authorization: {'Key' if path.startswith('/fal') else 'Bearer'} {key}",
            f"content-type: {'image/png' if path == UPLOAD else 'application/json'}",
            "transfer-encoding: chunked" if length is None else f"content-length: {length}",
        ]
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        connection.sendall(b"%x\r\n%s\r\n" % (len(body), body) if length is None and body else body)
        return connection

    def open(self) -> socket.socket:
        url = urlsplit(self.served.url)
        return self.stack.enter_context(socket.create_connection((url.hostname, url.port), timeout=20))

    def held(self) -> tuple[int, int]:
        """Return the bytes in memory and on disk."""
        generations = self.served.runtime.generations
        return generations.body_memory.leased, generations.images._disk.leased


@pytest.fixture
def gateway(settings: Settings) -> Iterator[Gateway]:
    with served(create_app(settings)) as running, ExitStack() as stack:
        yield Gateway(running, stack)


def answer(connection: socket.socket) -> tuple[int, bytes]:
    response = read_response(connection)
    return int(response.split()[1]), response


@pytest.mark.parametrize("path", [CREATE, UPLOAD, SUBMIT])
def test_body_below_least_rate_returns_408(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(bodies, "_PERIOD", 0.3)
    connection = gateway.begin(gateway.key(), path, 100_000, b"x" * 100)

    status, response = answer(connection)

    assert (status, b"request_timeout" in response, b"connection: close" in response) == (408, True, True)
    assert b"3000 bytes" in response
    assert connection.recv(65536) == b"", "closed"
    eventually(lambda: gateway.held() == (0, 0))


def test_body_at_least_rate_is_accepted(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_PERIOD", 0.5)
    body = json.dumps(create_body()).encode().ljust(60_000)
    connection = gateway.begin(gateway.key(), CREATE, len(body))
    connection.settimeout(0.1)
    for start in range(0, 54_000, 6000):
        connection.sendall(body[start : start + 6000])
        with pytest.raises(TimeoutError):
            connection.recv(1)
    connection.settimeout(20)
    connection.sendall(body[54_000:])

    assert answer(connection)[0] == 202


@pytest.mark.parametrize("path", [CREATE, UPLOAD, SUBMIT])
def test_body_beyond_tenants_bytes_returns_429_unread(gateway: Gateway, path: str) -> None:
    key = gateway.key()
    gateway.begin(key, path, MOST, b"x")
    eventually(lambda: sum(gateway.held()) >= MOST)

    refused = answer(gateway.begin(key, path, MOST))
    other = gateway.begin(gateway.key(), path, MOST // 3, b"x")
    eventually(lambda: sum(gateway.held()) >= MOST * 4 // 3)

    assert (refused[0], b"too_many_bytes" in refused[1], b"retry-after: 5" in refused[1]) == (429, True, True)
    other.close()
    eventually(lambda: sum(gateway.held()) < MOST * 4 // 3)


@pytest.mark.parametrize("path", [CREATE, UPLOAD, SUBMIT])
def test_body_beyond_process_bytes_returns_503_unread(gateway: Gateway, path: str) -> None:
    for _ in range(2):
        gateway.begin(gateway.key(), path, MOST, b"x")
    eventually(lambda: sum(gateway.held()) >= 2 * MOST)

    status, response = answer(gateway.begin(gateway.key(), path, MOST))

    assert (status, b"retry-after: 2" in response) == (503, True)


@pytest.mark.parametrize("path", [CREATE, UPLOAD, SUBMIT])
def test_chunked_body_holds_what_arrived(gateway: Gateway, path: str) -> None:
    key = gateway.key()
    first = gateway.begin(key, path, None, b"x" * 1_600_000)
    eventually(lambda: sum(gateway.held()) >= 1_600_000)

    second = answer(gateway.begin(key, path, None, b"x" * 1_600_000))

    assert (second[0], b"too_many_bytes" in second[1]) == (429, True)
    first.close()
    eventually(lambda: gateway.held() == (0, 0))


def test_create_in_one_piece_is_accepted_with_all_bytes_held(gateway: Gateway) -> None:
    key = gateway.key()
    gateway.begin(key, CREATE, MOST, b"x")
    gateway.begin(gateway.key(), CREATE, MOST, b"x")
    gateway.begin(key, CREATE, MOST // 2, b"x")
    eventually(lambda: gateway.held()[0] == MOST * 5 // 2)
    body = json.dumps(create_body()).encode()

    assert answer(gateway.begin(key, CREATE, len(body), body))[0] == 202


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (CREATE, json.dumps(create_body()).encode().ljust(120_000), 202),
        (CREATE, b"{".ljust(120_000), 400),
        (CREATE, b" " * 1_000_000, 400),
        (UPLOAD, b"x" * 1_000_000, 422),
        (UPLOAD, pictures.encoded("png"), 503),  # fal's storage is unreachable
    ],
    ids=["created", "malformed", "empty", "no image", "no storage"],
)
@pytest.mark.parametrize("length", [len, lambda _: None], ids=["declared", "chunked"])
def test_bytes_are_released_after_the_response(
    gateway: Gateway, path: str, body: bytes, status: int, length: Callable[[bytes], int | None]
) -> None:
    connection = gateway.begin(gateway.key(), path, length(body), body)
    if length(body) is None:
        connection.sendall(b"0\r\n\r\n")

    assert answer(connection)[0] == status
    eventually(lambda: gateway.held() == (0, 0))


CHECKED = [(900, "x-any: 1", 202), (1025, "x-any: 1", 413), (900, "content-encoding: gzip", 415)]


def test_body_has_same_checks_in_one_read_and_in_two(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a body of more than one read has timers."""
    readers: list[object] = []

    class Reader(bodies._Reader):
        def __init__(self, *arguments: Any) -> None:
            readers.append(self)
            super().__init__(*arguments)

    monkeypatch.setattr(bodies, "_Reader", Reader)
    small = settings.model_copy(update={"max_body_bytes": 1024, "max_inline_bytes": 1024})
    with served(create_app(small)) as running, ExitStack() as stack:
        gateway = Gateway(running, stack)
        key = gateway.key()
        for size, header, expected in CHECKED:
            body = json.dumps(create_body()).encode().ljust(size)
            chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (size, body)

            whole = gateway.open()
            whole.sendall(head_of_create(key, header) + chunk)
            assert (answer(whole)[0], len(readers)) == (expected, 0)

            parts = gateway.open()
            parts.sendall(head_of_create(key, header))
            eventually(lambda: bool(readers))
            parts.sendall(chunk)
            assert (answer(parts)[0], len(readers)) == (expected, 1)
            readers.clear()


def test_body_in_one_read_is_bounded_before_it_is_parsed(settings: Settings) -> None:
    """A create has a second check, of what its images leave of the body."""
    small = settings.model_copy(update={"max_body_bytes": 1024, "max_inline_bytes": 1024})
    with served(create_app(small)) as running, ExitStack() as stack:
        gateway = Gateway(running, stack)
        connection = gateway.open()
        head = head_of_create(gateway.key(), "x-any: 1", "/v1/webhook-endpoints")
        connection.sendall(head + b"%x\r\n%s\r\n0\r\n\r\n" % (1025, b"{".ljust(1025)))

        assert answer(connection)[0] == 413


def head_of_create(key: str, header: str, path: str = CREATE) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: x", f"authorization: Bearer {key}", "transfer-encoding: chunked", header]
    return "\r\n".join([*lines, "content-type: application/json", "", ""]).encode()
