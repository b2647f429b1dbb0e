"""A burst of new connections is accepted in a few rounds of the event loop, not one in each."""

import asyncio
import socket
from contextlib import ExitStack

import uvicorn
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
    sockets = listeners(uvicorn.Config("unused:app", host="127.0.0.1", port=0, log_config=None))
    assert uvloop.run(_accepted_in(sockets, _ROUNDS)) == _CONNECTIONS


def test_one_socket_is_the_reason() -> None:
    """When this fails, uvloop accepts several connections of a socket in one round: the other sockets can go."""
    with socket.create_server(("127.0.0.1", 0), backlog=_CONNECTIONS) as one:
        assert uvloop.run(_accepted_in([one], _ROUNDS)) <= _ROUNDS
