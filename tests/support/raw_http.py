"""Responses read from a socket, for tests that send bytes no HTTP client would send."""

import re
import socket

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


def read_response(connection: socket.socket) -> bytes:
    """Return the head of one response and the body whose length it declares.

    The two can arrive in separate segments, so a single `recv` may return the head alone.
    """
    response = b""
    while not response.endswith(b"\r\n\r\n"):
        if not (byte := connection.recv(1)):
            raise ConnectionError(f"closed within a head: {response!r}")
        response += byte
    declared = _LENGTH.search(response)
    missing = int(declared[1]) if declared else 0
    while missing:
        if not (piece := connection.recv(missing)):
            raise ConnectionError(f"closed within a body: {response!r}")
        response += piece
        missing -= len(piece)
    return response
