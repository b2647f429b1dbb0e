"""``/healthz`` and ``/metrics`` on the metrics port of a process, which callers of the API cannot reach."""

import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CONTENT_TYPE_LATEST

from service.observability import multiprocess

#: A client that sends or reads nothing for this long is disconnected.
_SILENCE_SECONDS: Final = 30.0

Page = Callable[[], tuple[str, str, bytes]]
"""Returns the status line, the media type and the body of a response."""


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


class _SharedPortServer(_Server):
    """Shares its port with the other gateway processes of one ``serve``: each returns the metrics of all."""

    allow_reuse_port = True


class _Silent(WSGIRequestHandler):
    timeout = _SILENCE_SECONDS

    def log_message(self, *_: object) -> None:
        """Do not log probes and scrapes."""


def serve(probe: LivenessProbe, *, host: str, port: int) -> WSGIServer:
    """Serve a worker or beat. A 503 of ``/healthz`` makes an orchestrator restart the process."""

    def health() -> tuple[str, str, bytes]:
        alive = probe.alive
        return "200 OK" if alive else "503 Service Unavailable", "text/plain", b"ok\n" if alive else b"no progress\n"

    return serve_pages({"/healthz": health, "/metrics": metrics_page(multiprocess.text)}, host=host, port=port)


def metrics_page(read: Callable[[], bytes]) -> Page:
    return lambda: ("200 OK", CONTENT_TYPE_LATEST, read())


def serve_pages(pages: Mapping[str, Page], *, host: str, port: int) -> WSGIServer:
    """Serve pages by path, in daemon threads.

    Raises:
        OSError: the port is taken.

    """

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        page = pages.get(environ["PATH_INFO"])
        status, media_type, body = ("404 Not Found", "text/plain", b"not found\n") if page is None else page()
        start_response(
            status,
            [
                ("content-type", media_type),
                ("content-length", str(len(body))),
                ("cache-control", "no-store"),
                ("x-content-type-options", "nosniff"),
            ],
        )
        return [body]

    try:
        server = make_server(host, port, app, _SharedPortServer if multiprocess.is_shared() else _Server, _Silent)
    except OSError as error:
        raise OSError(error.errno, f"GATEWAY_METRICS_PORT {port} on {host}: {error.strerror}") from error
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
