"""A webhook receiver of a tenant: records each request, and responds as configured."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

from standardwebhooks import Webhook

#: Of the public library.
_TOLERANCE: Final = timedelta(minutes=5)


class _Server(ThreadingHTTPServer):
    request_queue_size = 1024  # a worker connects a hundred times at once


@dataclass(frozen=True)
class Received:
    headers: dict[str, str]
    body: bytes
    at: datetime
    path: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def verified(self, secret: str) -> Any:
        """Return the event. Raises if the signature is invalid."""
        return Webhook(secret).verify(self.body.decode(), self.headers)

    def is_signed(self, secret: str) -> bool:
        """Return whether the public library would have accepted the webhook when it was received."""
        sent = datetime.fromtimestamp(int(self.headers["webhook-timestamp"]), UTC)
        signature = Webhook(secret).sign(self.headers["webhook-id"], sent, self.body.decode())
        return signature in self.headers["webhook-signature"].split() and abs(self.at - sent) < _TOLERANCE


@dataclass
class Receiver:
    answers: list[int] = field(default_factory=list)
    """Statuses of the next responses."""
    otherwise: int = 204
    """The status of all further responses."""
    headers: dict[str, str] = field(default_factory=dict)
    """Headers of each response."""
    body: bytes = b""
    """The body of each response."""
    received: list[Received] = field(default_factory=list)
    meanwhile: Callable[["Receiver"], None] | None = None
    """Called between a request and its response."""

    def __enter__(self) -> Self:
        receiver, self._came = self, threading.Condition()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = receiver.answers.pop(0) if receiver.answers else receiver.otherwise
                with receiver._came:
                    receiver.received.append(Received(headers, body, datetime.now(UTC), self.path))
                    receiver._came.notify_all()
                if receiver.meanwhile is not None:
                    receiver.meanwhile(receiver)
                self.send_response(status)
                self.send_header("content-length", str(len(receiver.body)))
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(receiver.body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self.base_url}/hook"

    def wait_for(self, wanted: Callable[[list[Received]], bool], *, within: float = 90) -> list[Received]:
        with self._came:
            came = self._came.wait_for(lambda: wanted(self.received), within)
        assert came, f"only {len(self.received)} webhooks arrived within {within} s"
        return self.received
