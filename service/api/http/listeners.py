"""The sockets on which a gateway process accepts connections."""

import errno
import socket
from collections.abc import Iterable
from typing import Any, Final

import uvicorn

from service.observability import log

#: uvloop accepts one connection of a socket in each round of its event loop. A round is milliseconds long under load:
#: with one socket, the last of 200 new connections waits for more than a second.
_ACCEPTED_PER_ROUND: Final = 16
#: ``localhost`` can have an address of IPv6 on a machine without IPv6.
_NOT_HERE: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class Server(uvicorn.Server):
    """Logs the addresses once it listens: uvicorn logs only those that it has bound itself."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets is not None:
            log_addresses(sockets)


def log_addresses(sockets: Iterable[socket.socket]) -> None:
    log.get(__name__).info("listening", addresses=sorted({_address(each) for each in sockets}))


def _address(bound: socket.socket) -> str:
    host, port, *_ = bound.getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def listeners(host: str, port: int) -> list[socket.socket]:
    """Bind each address of a host, and return several sockets of its one queue of new connections.

    ``host`` may be a name; "": all addresses of the machine. ``port`` 0: any free one, another for each address.

    Raises OSError: the name does not resolve, no address is of this machine, or a port is in use.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = dict.fromkeys((family, address) for family, _, _, _, address in found)  # a name can have one twice
    bound: list[socket.socket] = []
    for place, (family, address) in enumerate(addresses, start=1):
        try:
            bound.append(_bound(family, address))
        except OSError as error:
            if error.errno not in _NOT_HERE or (place == len(addresses) and not bound):
                for other in bound:
                    other.close()
                raise
    return [one for each in bound for one in (each, *(each.dup() for _ in range(_ACCEPTED_PER_ROUND - 1)))]


def _bound(family: int, address: Any) -> socket.socket:
    made = socket.socket(family)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # "": IPv4 has a socket of its own
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made
