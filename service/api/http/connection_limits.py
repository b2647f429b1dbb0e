"""Bounds on connections: their number, the bytes and the time of heads, idle time, and clients that read nothing.

``bodies`` bounds the bodies that a route reads.
"""

import asyncio
from functools import partial
from typing import Any, Final

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.api.http.bodies import HAS_ARRIVED
from service.api.http.server_responses import refusal, without_chunks, without_upgrade

#: Four times fal's limit. One read from the network may exceed it; the head is accepted if it ends in that read.
LARGEST_HEAD: Final = 64 * 1024
#: From the start of a connection or of a head to the end of the head.
_HEAD_SECONDS: Final = 30.0
#: From a response to the end of the body that it did not wait for. A client that writes its whole body before it reads
#: then receives the response; a client that writes for longer loses its connection.
_REST_SECONDS: Final = 5.0
#: The same in bytes: the largest upload by default, which a client may write before it reads.
_MOST_REST: Final = 32 * 1024 * 1024
#: A client that reads nothing of a response for this long is disconnected.
_UNREAD_SECONDS: Final = 60.0
#: No route reads a body of these: it is discarded as it arrives. A waiting read would hold it for a minute.
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


#: In a header that offers another protocol.
_UPGRADE: Final = b"pgrade:"
#: Requests of a connection that wait for the response to the one before. One read from the network can contain
#: thousands, which take megabytes while the first request waits for a minute.
_MOST_PIPELINED: Final = 16


class _TooManyPipelined(Exception):
    """Ends the parser: uvicorn responds with 400 and closes the connection."""


class ConnectionTable:
    """The idle connections of one process, longest idle first, and the bound on all its connections.

    A connection is idle while no request of it is processed. At the bound, a new connection closes the longest idle
    one. That needs no client address, which behind a load balancer is the same for all clients.
    """

    def __init__(self, most: int) -> None:
        self.most: Final = most
        self.idle: dict[LimitedProtocol, None] = {}

    def close_longest_idle(self) -> None:
        protocol = next(iter(self.idle))
        del self.idle[protocol]
        protocol.end()


class LimitedProtocol(HttpToolsProtocol):
    """Keep one timer running whenever no request is processed.

    uvicorn collects URL, headers and trailers without a bound, and any byte stops its keep-alive timer, also one that
    starts no request. Here the timer is uvicorn's own, but only a complete head stops it.
    """

    #: Slots: with more names, the instance's dict would be a kilobyte larger for every connection.
    __slots__ = ("_body_ended", "_collected", "_in_head", "_is_head_timed", "_rest", "_table", "_unread")

    def __init__(self, *arguments: Any, table: ConnectionTable, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._table = table
        self._collected = self._rest = 0
        self._in_head = self._is_head_timed = False
        self._body_ended = True
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._table.idle[self] = None
        self._in_head = self._is_head_timed = True
        self._start_timer(_HEAD_SECONDS)
        if len(self.connections) > self._table.most:
            self._table.close_longest_idle()

    def data_received(self, data: bytes) -> None:
        self._collected += len(data)
        if self._body_ended and _UPGRADE in data:
            data = without_upgrade(data)
        super().data_received(data)
        if self._collected > LARGEST_HEAD and not self.transport.is_closing():
            self._refuse()
        elif self._in_head and not self._is_head_timed and not self._is_answering:
            self._is_head_timed = True
            self._start_timer(_HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._table.idle.pop(self, None)
        self._stop_timer()
        self._stop_unread()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if [name for name, _ in self.headers].count(b"host") > 1:  # a proxy may have checked the other one
            raise ValueError("more than one Host header")  # the parser's caller responds 400 and closes
        self._in_head = self._is_head_timed = self._body_ended = False
        self._collected = self._rest = 0
        self._table.idle.pop(self, None)
        self._stop_timer()
        if len(self.pipeline) >= _MOST_PIPELINED:
            raise _TooManyPipelined
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, without_chunks(app, cycle) if cycle.scope["http_version"] == "1.0" else app)

    def send_400_response(self, msg: str) -> None:
        self.transport.write(refusal(msg))
        self.transport.close()

    def on_body(self, body: bytes) -> None:
        self._collected = 0
        if not self._is_answering:
            self._discard(body)
            return
        if self.scope["method"] in _WITHOUT_BODY:
            return
        super().on_body(body)
        if self.pipeline and len(self.cycle.body) > HIGH_WATER_LIMIT:
            self.transport.abort()  # it would be held until the response before it has ended

    def _discard(self, body: bytes) -> None:
        """Count the rest of a body after its response."""
        self._rest += len(body)
        if self._rest > _MOST_REST:
            self.end()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._body_ended = True
        self.scope[HAS_ARRIVED] = True  # type: ignore[typeddict-unknown-key]
        if not self._is_answering and not self.transport.is_closing():
            self._start_timer(self.timeout_keep_alive)  # the rest of a body after its response

    def on_response_complete(self) -> None:
        super().on_response_complete()  # starts a pipelined request, or the keep-alive timer
        if self.transport.is_closing():
            self._start_timer(_UNREAD_SECONDS)
        elif not self._is_answering:
            self._table.idle[self] = None
            if self._in_head:
                self._is_head_timed = True
                self._start_timer(_HEAD_SECONDS)
            elif not self._body_ended:
                self._start_timer(_REST_SECONDS)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(_UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_unread()

    def end(self) -> None:
        """Close the connection, without waiting for a client that does not read."""
        if self.transport.is_closing() or self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        self.end()

    def _unset_keepalive_if_required(self) -> None:
        """Do nothing: uvicorn calls this for every byte."""

    def _start_timer(self, seconds: float) -> None:
        self._stop_timer()
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _stop_timer(self) -> None:
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def _stop_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _refuse(self) -> None:
        if self._is_answering:
            self.transport.close()  # a 400 would become part of the response under way
        else:
            self.send_400_response(f"The head of the request is larger than {LARGEST_HEAD} bytes.")

    @property
    def _is_answering(self) -> bool:
        return not getattr(self.cycle, "response_complete", True)  # cycle is None before the first request


def limited(most_connections: int) -> Any:
    """Return uvicorn's ``http`` argument for a process with at most this many connections."""
    return partial(LimitedProtocol, table=ConnectionTable(most_connections))
