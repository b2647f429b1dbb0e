"""A burst of new connections is accepted in a few rounds of the event loop, not one in each."""

import asyncio
import errno
import socket
from contextlib import ExitStack

import pytest
import uvloop

from service.api.http.listeners import listeners

_CONNECTIONS = 64
#: The first round may only start the server.
_ROUNDS = 8


class _Accepted(asyncio.Protocol):
    def __init__(self, connections: list[asyncio.BaseTransport]) -> None:
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connections.append(transport)


async def _accepted_in(sockets: list[socket.socket], rounds: int) -> int:
    """Connect all clients, run so many rounds of the event loop, and return how many connections are accepted."""
    accepted: list[asyncio.BaseTransport] = []
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(lambda: _Accepted(accepted), sock=sock) for sock in sockets]
    address = sockets[0].getsockname()
    with ExitStack() as clients:
        for _ in range(_CONNECTIONS):
            clients.enter_context(socket.create_connection(address, timeout=5))
        for _ in range(rounds):
            await asyncio.sleep(0)
        found = len(accepted)
        for transport in accepted:
            transport.close()
        for server in servers:
            server.close()
    return found


def test_burst_is_accepted_in_few_rounds() -> None:
    assert uvloop.run(_accepted_in(listeners("127.0.0.1", 0), _ROUNDS)) == _CONNECTIONS


def test_one_socket_is_the_reason() -> None:
    """When this fails, uvloop accepts several connections of a socket in one round: the other sockets can go."""
    with socket.create_server(("127.0.0.1", 0), backlog=_CONNECTIONS) as one:
        assert uvloop.run(_accepted_in([one], _ROUNDS)) <= _ROUNDS


@pytest.mark.parametrize(
    ("host", "families"),
    [
        ("127.0.0.1", {socket.AF_INET}),
        ("0.0.0.0", {socket.AF_INET}),  # noqa: S104
        ("::1", {socket.AF_INET6}),
        ("::", {socket.AF_INET6}),
        ("", {socket.AF_INET, socket.AF_INET6}),
    ],
)
def test_each_address_of_a_host_is_bound(host: str, families: set[socket.AddressFamily]) -> None:
    bound = listeners(host, 0)
    try:
        assert {one.family for one in bound} == families
        assert len({one.getsockname()[:2] for one in bound}) == len(families)
    finally:
        for one in bound:
            one.close()


def refused(host: str, port: int) -> int | None:
    try:
        listeners(host, port)
    except OSError as error:  # gaierror is one
        return error.errno
    return None


@pytest.mark.parametrize(
    ("host", "reason"),
    [("192.0.2.1", errno.EADDRNOTAVAIL), ("2001:db8::1", errno.EADDRNOTAVAIL), ("no-host.invalid", socket.EAI_NONAME)],
)
def test_address_that_is_not_of_this_machine_is_refused(host: str, reason: int) -> None:
    assert refused(host, 0) == reason


def test_port_in_use_of_one_address_is_refused() -> None:
    """No socket of the other address stays open."""
    with socket.create_server(("::", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        assert refused("", port) == errno.EADDRINUSE
        with socket.create_server(("127.0.0.1", port)):
            """The address of IPv4 is free again."""
