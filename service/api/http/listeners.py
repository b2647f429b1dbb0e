"""The sockets on which a gateway process accepts connections."""

import socket
from typing import Final

import uvicorn

#: uvloop accepts one connection of a socket in each round of its event loop. A round is milliseconds long under load:
#: with one socket, the last of 200 new connections waits for more than a second.
_ACCEPTED_PER_ROUND: Final = 16


def listeners(config: uvicorn.Config) -> list[socket.socket]:
    """Bind the address of the configuration, and return several sockets of its one queue of new connections.

    An address that is in use or not of this machine ends the process with a line in the log.
    """
    bound = config.bind_socket()
    return [bound, *(bound.dup() for _ in range(_ACCEPTED_PER_ROUND - 1))]
