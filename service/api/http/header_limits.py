"""Bounds on what comes before a body and after it; the bodies themselves are ``middleware.BodyLimit``'s."""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Four times what fal takes. A single read of the network may bring more, and is taken if it ends the head.
LARGEST_HEAD: Final = 64 * 1024
#: From a connection's beginning, or a head's, to the head's end.
_SECONDS: Final = 30.0


class HeaderLimitProtocol(HttpToolsProtocol):
    """The server's own protocol collects a URL, headers and trailers for as long as they come, whoever sends them."""

    #: Beside the instance's own dict, which with more names in it would be a kilobyte larger, for every connection.
    __slots__ = ("_collected", "_in_head", "_overdue")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._collected = 0
        self._in_head = False
        self._overdue: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._in_head = True
        self._wait()

    def data_received(self, data: bytes) -> None:
        self._collected += len(data)
        super().data_received(data)
        if self._collected > LARGEST_HEAD and not self.transport.is_closing():
            self._refuse()
        elif self._in_head and self._overdue is None:
            self._wait()
        elif not self._in_head and self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head, self._collected = False, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._collected = 0
        super().on_body(body)

    def _refuse(self) -> None:
        if self._is_answering:
            self.transport.close()  # what is said now would be taken for a part of the answer
        else:
            self.send_400_response(f"The head of the request is larger than {LARGEST_HEAD} bytes.")

    def _wait(self) -> None:
        self._overdue = self.loop.call_later(_SECONDS, self._give_up)

    def _give_up(self) -> None:
        if self._is_answering:
            self._wait()  # the next call may wait for the end of this one
        else:
            self.transport.close()

    @property
    def _is_answering(self) -> bool:
        return not getattr(self.cycle, "response_complete", True)  # None before the first call
