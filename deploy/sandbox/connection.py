"""Closes the TCP connection without an answer, as a crashed proxy or a lost network does."""

import socket
import struct
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

EXTENSION = "sandbox.connection"
#: SO_LINGER on, zero seconds: close() sends RST instead of FIN.
LINGER_ZERO = struct.pack("ii", 1, 0)


class DroppableProtocol(HttpToolsProtocol):
    """Gives the application access to its transport, which ASGI hides."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: {"transport": self.transport}}


class NoAnswer(Response):
    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self._reset = reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        transport = scope["extensions"][EXTENSION]["transport"]
        if self._reset:
            _send_reset(transport)
        else:
            transport.close()
        while (await receive())["type"] != "http.disconnect":
            pass


def _send_reset(transport: Any) -> None:
    with socket.socket(fileno=socket.dup(transport.get_extra_info("socket").fileno())) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
    transport.abort()
