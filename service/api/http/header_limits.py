"""Bounds on request heads and trailers. ``middleware.BodyLimit`` bounds bodies."""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Four times fal's limit. One read from the network may exceed it; the head is accepted if it ends in that read.
LARGEST_HEAD: Final = 64 * 1024
#: From the start of a connection or of a head to the end of the head.
_SECONDS: Final = 30.0


class HeaderLimitProtocol(HttpToolsProtocol):
    """Bound the bytes and the time of a head. uvicorn's protocol collects URL, headers and trailers without a bound."""

    #: Slots: with three more names, the instance's dict would be a kilobyte larger for every connection.
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
            self.transport.close()  # a 400 would become part of the response under way
        else:
            self.send_400_response(f"The head of the request is larger than {LARGEST_HEAD} bytes.")

    def _wait(self) -> None:
        self._overdue = self.loop.call_later(_SECONDS, self._give_up)

    def _give_up(self) -> None:
        if self._is_answering:
            self._wait()  # a pipelined request may wait for the end of this response
        else:
            self.transport.close()

    @property
    def _is_answering(self) -> bool:
        return not getattr(self.cycle, "response_complete", True)  # cycle is None before the first request
