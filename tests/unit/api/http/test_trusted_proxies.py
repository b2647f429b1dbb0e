"""The client's address behind proxies: believed from trusted networks only, and never what the client wrote."""

from ipaddress import ip_network
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.types import Receive, Scope, Send

from service.api.http.client_address import client_address
from service.api.http.trusted_proxies import TrustedProxies
from service.app import create_app
from tests.support import factories

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("203.0.113.10/32"))
CLIENT = "198.51.100.7"


async def seen(peer: str | None, *lines: str, name: str = "x-forwarded-for") -> str | None:
    """Return the client's address of a request with these header lines."""
    found: list[Any] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        found.append(client_address(scope))

    headers = [(name.encode(), line.encode("latin-1")) for line in lines]
    client = None if peer is None else (peer, 4711)
    await TrustedProxies(app, TRUSTED)({"type": "http", "headers": headers, "client": client}, None, None)  # type: ignore[arg-type]
    return found[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("peer", "lines", "expected"),
    [
        # One trusted proxy.
        ("10.0.0.1", [CLIENT], CLIENT),
        ("10.0.0.1", [f"{CLIENT}:52344"], CLIENT),
        ("10.0.0.1", ["2001:db8::7"], "2001:db8::7"),
        ("10.0.0.1", ["[2001:db8::7]:443"], "2001:db8::7"),
        ("10.0.0.1", ["[2001:db8::7]"], "2001:db8::7"),
        ("10.0.0.1", ["2001:DB8:0::7"], "2001:db8::7"),
        ("fd00::1", [CLIENT], CLIENT),
        # Dual-stack sockets.
        ("::ffff:10.0.0.1", [CLIENT], CLIENT),
        ("::ffff:198.51.100.7", [], CLIENT),
        ("10.0.0.1", ["::ffff:198.51.100.7"], CLIENT),
        # Several trusted proxies, in one line and in several.
        ("10.0.0.1", [f"{CLIENT}, 10.2.3.4, 203.0.113.10"], CLIENT),
        ("10.0.0.1", [CLIENT, "10.2.3.4"], CLIENT),
        ("10.0.0.1", [f"{CLIENT},10.2.3.4", "203.0.113.10"], CLIENT),
        # Only proxies: a call from inside.
        ("10.0.0.1", ["10.9.9.9"], "10.9.9.9"),
        ("10.0.0.1", ["10.9.9.9, 10.8.8.8"], "10.9.9.9"),
        # A client wrote what is left of its own address.
        ("10.0.0.1", [f"1.2.3.4, {CLIENT}"], CLIENT),
        ("10.0.0.1", [f"10.9.9.9, {CLIENT}"], CLIENT),
        ("10.0.0.1", ["1.2.3.4", CLIENT], CLIENT),
        ("10.0.0.1", [f"{'1.2.3.4,' * 5000}{CLIENT}"], CLIENT),
        ("10.0.0.1", [f"unknown, {CLIENT}"], CLIENT),
        ("10.0.0.1", [f"x{'y' * 9000}, {CLIENT}"], CLIENT),
        # A client that connects directly is not believed.
        (CLIENT, ["10.0.0.1"], CLIENT),
        (CLIENT, ["1.2.3.4"], CLIENT),
        ("203.0.113.11", [CLIENT], "203.0.113.11"),
        ("127.0.0.1", [CLIENT], "127.0.0.1"),
        # No address: the proxy is the last that is known.
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["_hidden"], "10.0.0.1"),
        ("10.0.0.1", [f"{CLIENT},"], "10.0.0.1"),
        ("10.0.0.1", [f"{CLIENT}, unknown, 10.2.3.4"], "10.2.3.4"),
        ("10.0.0.1", ["198.51.100.7\n1.2.3.4"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.007"], "10.0.0.1"),
        ("10.0.0.1", ["\xff\xfe"], "10.0.0.1"),
        ("10.0.0.1", ["localhost"], "10.0.0.1"),
        (None, [CLIENT], None),
    ],
)
async def test_client_address_is_last_that_no_proxy_has(peer: str | None, lines: list[str], expected: str) -> None:
    assert await seen(peer, *lines) == expected


@pytest.mark.parametrize("name", ["forwarded", "x-real-ip", "client-ip", "cf-connecting-ip", "x-forwarded-host"])
async def test_client_address_other_headers_are_ignored(name: str) -> None:
    assert await seen("10.0.0.1", CLIENT, name=name) == "10.0.0.1"


async def test_client_address_reads_a_bounded_number_of_proxies() -> None:
    assert await seen("10.0.0.1", ", ".join([CLIENT, *["10.2.3.4"] * 5000])) == "10.2.3.4"


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
def test_every_address_as_trusted_proxy_is_refused(network: str) -> None:
    with pytest.raises(ValidationError, match="trusted_proxies"):
        factories.settings("redis://127.0.0.1:9/0", trusted_proxies=[network])


def test_app_reads_header_only_with_trusted_proxies() -> None:
    url = "redis://127.0.0.1:9/0"
    stacks = [
        create_app(factories.settings(url, trusted_proxies=networks)).build_middleware_stack()
        for networks in ((), ("10.0.0.0/8",))
    ]
    assert [isinstance(stack, TrustedProxies) for stack in stacks] == [False, True]
