"""HTTP on the wire, without a client library: HTTP/1.0, bodies of HEAD, methods that are none."""

import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from service.app import create_app
from service.config.settings import Settings
from tests.support.factories import create_body
from tests.support.served import Served, served


@pytest.fixture
def gateway(settings: Settings) -> Iterator[Served]:
    with served(create_app(settings)) as running:
        yield running


@pytest.fixture
def key(gateway: Served) -> str:
    tenants = gateway.runtime.tenants
    tenant = gateway.run(tenants.service.create("acme"))
    return gateway.run(tenants.api_keys.create(tenant.id)).text


def exchange(gateway: Served, request: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """Send one request and read until the server closes the connection."""
    parts = urlsplit(gateway.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode() + body)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, rest = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, rest


def created(gateway: Served, key: str, version: str = "1.1") -> dict[str, str]:
    body = json.dumps(create_body()).encode()
    status, _, answer = exchange(
        gateway,
        f"POST /v1/generations HTTP/{version}\nHost: x\nAuthorization: Bearer {key}\nContent-Type: application/json\n"
        f"Content-Length: {len(body)}\nConnection: close\n\n",
        body,
    )
    assert status == 202
    found: dict[str, str] = json.loads(answer)
    return found


def test_http_1_0_receives_no_chunks(gateway: Served, key: str) -> None:
    made = created(gateway, key, "1.0")
    canceled = f"POST /v1/generations/{made['id']}/cancel HTTP/1.0\nAuthorization: Bearer {key}\n\n"
    assert exchange(gateway, canceled)[0] == 200

    for method, path, version in (
        ("GET", f"/v1/generations/{made['id']}", "1.0"),
        ("GET", f"/v1/generations/{made['id']}/events", "1.0"),
        ("GET", f"/v1/generations/{made['id']}/events", "1.1"),
        ("HEAD", f"/v1/generations/{made['id']}", "1.0"),
        ("GET", "/docs/assets/swagger-ui.css", "1.0"),
        ("GET", "/v1/nothing", "1.0"),
    ):
        status, headers, body = exchange(
            gateway, f"{method} {path} HTTP/{version}\nHost: x\nConnection: close\nAuthorization: Bearer {key}\n\n"
        )
        assert status == (404 if path == "/v1/nothing" else 200), path
        is_stream = path.endswith("/events")
        assert headers.get("transfer-encoding") == ("chunked" if is_stream and version == "1.1" else None), path
        assert headers["connection"] == "close"
        if is_stream:
            assert b"event: state\ndata: {" in body
            assert (version == "1.0") == body.startswith(b"retry: 1000\n\n")
            assert (version == "1.0") == body.endswith(b"}\n\n")
        elif method == "GET":
            assert len(body) == int(headers["content-length"])


def test_head_has_length_and_no_body(gateway: Served, key: str) -> None:
    made = created(gateway, key)
    for path in ("/healthz", "/docs", "/openapi.json", f"/v1/generations/{made['id']}", "/v1/nothing"):
        request = f" {path} HTTP/1.1\nHost: x\nConnection: close\nAuthorization: Bearer {key}\n\n"
        get, head = exchange(gateway, f"GET{request}"), exchange(gateway, f"HEAD{request}")
        assert head[0] == get[0]
        assert head[1]["content-length"] == get[1]["content-length"] == str(len(get[2]))
        assert head[2] == b""


def test_head_keeps_the_connection_in_order(gateway: Served) -> None:
    both = "HEAD /healthz HTTP/1.1\nHost: x\n\nGET /healthz HTTP/1.1\nHost: x\nConnection: close\n\n"

    _, _, rest = exchange(gateway, both)

    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
    assert rest.endswith(b'{"status":"ok"}')


@pytest.mark.parametrize(
    ("request_line", "status", "code"),
    [
        ("BREW /v1/generations HTTP/1.1", 501, "method_unknown"),
        ("get /v1/generations HTTP/1.1", 501, "method_unknown"),
        ("PROPFIND /v1/generations HTTP/1.1", 405, "method_not_allowed"),
        ("TRACE /healthz HTTP/1.1", 405, "method_not_allowed"),
        ("GET /healthz HTTP/9.9", 400, "malformed"),
        ("GET healthz HTTP/1.1", 400, "malformed"),
        ("nonsense", 501, "method_unknown"),
        ("\0\1\2", 501, "method_unknown"),
    ],
)
def test_odd_request_line_returns_problem(gateway: Served, request_line: str, status: int, code: str) -> None:
    answer, headers, body = exchange(gateway, f"{request_line}\nHost: x\nConnection: close\n\n")

    problem = json.loads(body)
    assert (answer, problem["status"], problem["code"]) == (status, status, code)
    assert headers["content-type"] == "application/problem+json"
    assert headers["content-length"] == str(len(body))
    assert headers["x-request-id"] == problem["request_id"]
    assert code != "method_not_allowed" or "get" in headers["allow"]


def test_options_of_server_is_answered(gateway: Served) -> None:
    status, _, _ = exchange(gateway, "OPTIONS * HTTP/1.1\nHost: x\nConnection: close\n\n")

    assert status in (204, 404)


def test_offer_of_another_protocol_is_ignored(gateway: Served, key: str) -> None:
    """Java's client offers HTTP/2 with every request that is not encrypted."""
    body = json.dumps(create_body()).encode()
    status, _, answer = exchange(
        gateway,
        f"POST /v1/generations HTTP/1.1\nHost: x\nAuthorization: Bearer {key}\nContent-Type: application/json\n"
        f"Content-Length: {len(body)}\nConnection: Upgrade, HTTP2-Settings, close\nUpgrade: h2c\n"
        "HTTP2-Settings: AAMAAABk\n\n",
        body,
    )

    assert (status, json.loads(answer).get("status")) == (202, "queued"), answer
