"""A TCP proxy before the gateway that cuts connections where a test needs it."""

import re
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

_WITHIN = 60


@dataclass
class Cut:
    """Cut the connection of the next ``times`` requests that match ``head``, when the response contains ``after``."""

    head: bytes
    after: bytes = b""
    times: int = 1


class Cutter:
    """Listens on loopback and forwards to a port, in both directions. ``heads`` are the heads of all requests."""

    def __init__(self, port: int, *cuts: Cut) -> None:
        self.cuts = list(cuts)
        self.heads: list[bytes] = []
        self._to = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(_WITHIN)

    def calls(self, head: str) -> list[bytes]:
        return [each for each in self.heads if re.match(head.encode(), each)]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            upstream = socket.create_connection(("127.0.0.1", self._to), timeout=_WITHIN)
            _Relay(self, client, upstream).start()


class _Relay:
    def __init__(self, cutter: Cutter, client: socket.socket, upstream: socket.socket) -> None:
        self._cutter = cutter
        self._client = client
        self._upstream = upstream
        self._cut: Cut | None = None
        self._answer = b""

    def start(self) -> None:
        threading.Thread(target=self._send_requests, daemon=True).start()
        threading.Thread(target=self._send_responses, daemon=True).start()

    def _send_requests(self) -> None:
        with suppress(OSError):
            while data := self._client.recv(65536):
                if re.match(rb"(GET|POST) /", data):
                    self._begin(data.partition(b"\r\n\r\n")[0])
                self._upstream.sendall(data)
        self._close()

    def _begin(self, head: bytes) -> None:
        self._cutter.heads.append(head)
        self._answer = b""
        self._cut = next((cut for cut in self._cutter.cuts if cut.times > 0 and re.match(cut.head, head)), None)
        if self._cut is not None:
            self._cut.times -= 1

    def _send_responses(self) -> None:
        with suppress(OSError):
            while data := self._upstream.recv(65536):
                self._answer += data
                if self._cut is not None and self._cut.after in self._answer:
                    if self._cut.after:
                        self._client.sendall(data[: max(1, len(data) // 2)])  # in the middle of the response
                    break
                self._client.sendall(data)
        self._close()

    def _close(self) -> None:
        for end in (self._client, self._upstream):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
