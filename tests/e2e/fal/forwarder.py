"""A proxy between a process and its Redis: it forwards everything until a text occurs, and then holds the responses."""

import contextlib
import socket
import threading
from typing import Self
from urllib.parse import urlsplit


class Forwarder:
    def __init__(self, redis_url: str, trigger: bytes) -> None:
        target = urlsplit(redis_url)
        self._target = (target.hostname or "127.0.0.1", target.port or 6379)
        self._trigger = trigger
        self._path = target.path
        self._passing = threading.Event()
        self._armed = False

    def __enter__(self) -> Self:
        self._passing.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self._listener.close()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}{self._path}"

    def arm(self) -> None:
        self._armed = True

    def release(self) -> None:
        self._armed = False
        self._passing.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._start(self._forward_requests, near, far)
                self._start(self._forward_responses, far, near)

    def _forward_requests(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError), near, far:
            while data := near.recv(65536):
                if self._armed and self._trigger in data:
                    self._passing.clear()
                far.sendall(data)

    def _forward_responses(self, far: socket.socket, near: socket.socket) -> None:
        with contextlib.suppress(OSError), near, far:
            while data := far.recv(65536):
                self._passing.wait()
                near.sendall(data)

    @staticmethod
    def _start(target: object, *arguments: object) -> None:
        threading.Thread(target=target, args=arguments, daemon=True).start()  # type: ignore[arg-type]
