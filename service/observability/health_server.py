"""``/healthz`` and ``/metrics`` of workers and beat. A process is alive while its work makes progress."""

import socketserver
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app


class LivenessProbe:
    """Alive if ``touch`` was called within ``longest_silence`` seconds. Not alive before the first call."""

    def __init__(self, *, longest_silence: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest_silence = longest_silence
        self._clock = clock
        self._last: float | None = None

    def touch(self, *_: object, **__: object) -> None:
        """Note progress. Accepts the arguments of any signal."""
        self._last = self._clock()

    @property
    def alive(self) -> bool:
        return self._last is not None and self._clock() - self._last <= self._longest_silence


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Do not log probes and scrapes."""


def serve(probe: LivenessProbe, *, host: str, port: int) -> WSGIServer:
    """Serve in a daemon thread. A 503 of ``/healthz`` makes an orchestrator restart the process."""
    metrics = make_wsgi_app()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/healthz":
            return metrics(environ, start_response)  # type: ignore[no-any-return]  # it is not annotated
        status, text = ("200 OK", b"ok\n") if probe.alive else ("503 Service Unavailable", b"no progress\n")
        start_response(status, [("content-type", "text/plain"), ("content-length", str(len(text)))])
        return [text]

    server = make_server(host, port, app, _Server, _Silent)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
