"""A tenant's webhook receiver in a thread: records the time of each event, responds with 204."""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final

_PATIENCE: Final = 30.0  # seconds


@dataclass(frozen=True)
class Event:
    received_at: float
    generation: dict[str, Any]


class Receiver:
    def __init__(self, port: int, events: "SimpleQueue[Event]") -> None:
        self.url = f"http://127.0.0.1:{port}/webhooks"
        self._events = events

    def next(self) -> Event:
        """Return the next event. Raises ``queue.Empty`` after half a minute without one."""
        return self._events.get(timeout=_PATIENCE)


@contextlib.contextmanager
def opened() -> Iterator[Receiver]:
    events: SimpleQueue[Event] = SimpleQueue()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            received_at = time.time()
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            events.put(Event(received_at, body["data"]))
            self.send_response_only(204)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, name="receiver", daemon=True).start()
        yield Receiver(server.server_port, events)
        server.shutdown()
