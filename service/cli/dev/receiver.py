"""A webhook receiver on loopback, which verifies each signature."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from typing import Any, Final, Self

from standardwebhooks import Webhook, WebhookVerificationError

from service.domain.generation_view import EventView

_LARGEST_BODY: Final = 1_000_000
_IDLE_SECONDS: Final = 10
#: Seconds between two checks of the server's thread whether to stop; the end of the demo waits for one.
_STOP_CHECK_SECONDS: Final = 0.05


class WebhookFailed(Exception):
    """No webhook arrived in time, or one arrived whose signature is wrong."""


class NoWebhook(WebhookFailed):
    """No webhook arrived in time."""


@dataclass(frozen=True, slots=True)
class Received:
    """A verified webhook: its ``webhook-id``, its body, and the time of its arrival."""

    id: str
    event: EventView
    at: datetime


class Receiver:
    """A server, inside its ``with`` block. It answers a valid signature with ``status``, any other with 400."""

    def __init__(self, secret: str, *, port: int = 0, status: int = 204) -> None:
        self._verifier = Webhook(secret)
        self._arrived: SimpleQueue[Received | WebhookFailed] = SimpleQueue()
        self._server = _Server(("127.0.0.1", port), partial(_Handler, self._accept, status))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_STOP_CHECK_SECONDS,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/webhooks"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, *, within: float) -> Received:
        """Return the next verified webhook. Raises WebhookFailed."""
        try:
            arrived = self._arrived.get(timeout=within)
        except Empty:
            raise NoWebhook(f"No webhook arrived within {within:.0f} s.") from None
        if isinstance(arrived, WebhookFailed):
            raise arrived
        return arrived

    def _accept(self, headers: Message, body: bytes) -> bool:
        now = datetime.now(UTC)
        try:
            event = self._verifier.verify(body, dict(headers.items()))
        except (WebhookVerificationError, ValueError) as error:
            self._arrived.put(WebhookFailed(f"A webhook arrived whose signature is wrong: {error}."))
            return False
        self._arrived.put(Received(headers["webhook-id"], event, now))
        return True


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # a worker opens a hundred connections concurrently


class _Handler(BaseHTTPRequestHandler):
    timeout = _IDLE_SECONDS

    def __init__(self, accept: Callable[[Message, bytes], bool], status: int, *connection: Any) -> None:
        self._accept = accept
        self._status = status
        super().__init__(*connection)

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        accepted = length <= _LARGEST_BODY and self._accept(self.headers, self.rfile.read(length))
        self.send_response(self._status if accepted else 400)
        if not accepted or self._status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing: the demo and ``listen`` write to the terminal."""
