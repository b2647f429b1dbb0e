"""``/healthz`` and ``/metrics`` of a process that serves nothing else: alive while what it is for goes on."""

import socketserver
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app


class LivenessProbe:
    """When something last went on. Nothing is alive before its first beat."""

    def __init__(self, *, longest_silence: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest_silence = longest_silence
        self._clock = clock
        self._last: float | None = None

    def beat(self, *_: object, **__: object) -> None:
        """Takes whatever a signal sends along."""
        self._last = self._clock()

    @property
    def alive(self) -> bool:
        return self._last is not None and self._clock() - self._last <= self._longest_silence


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Probes and scrapes are no news."""


def serve(pulse: LivenessProbe, *, host: str, port: int) -> WSGIServer:
    """In a thread that ends with the process; 503 on ``/healthz`` is for an orchestrator to restart it."""
    metrics = make_wsgi_app()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/healthz":
            return metrics(environ, start_response)  # type: ignore[no-any-return]  # it is not annotated
        status, word = ("200 OK", b"ok\n") if pulse.alive else ("503 Service Unavailable", b"no sign of life\n")
        start_response(status, [("content-type", "text/plain"), ("content-length", str(len(word)))])
        return [word]

    server = make_server(host, port, app, _Server, _Silent)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
