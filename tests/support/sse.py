"""Readers of event streams: a parser of frames, and a reader of an app without a server."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

from fastapi import FastAPI

WITHIN = 10.0
_SUMMARY_FIELDS = {"state": "status", "log": "message", "queue": "position"}


@dataclass(frozen=True)
class StreamEvent:
    id: str
    kind: str
    data: Any

    @property
    def summary(self) -> tuple[str, Any]:
        """Return a short form: a status, a log line, a queue position."""
        name = _SUMMARY_FIELDS.get(self.kind)
        return self.kind, self.data if name is None else self.data[name]


def frames(lines: Iterable[str]) -> Iterator[StreamEvent | None]:
    """Yield the events of a stream's lines, and None for a comment. A frame with only ``retry`` is skipped."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            yield None
        elif line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            yield StreamEvent(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}


class Reader:
    """Use with ``async with``. ``next`` returns the next event, or None after the end."""

    def __init__(self, app: FastAPI, key: str, generation_id: str, **headers: str) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.heartbeats = 0
        self.ended = asyncio.Event()
        self.reading = asyncio.Event()
        """While cleared, the reader accepts no more data."""
        self.reading.set()
        self._app = app
        self._left = asyncio.Event()
        self._begun = asyncio.Event()
        self._events: asyncio.Queue[StreamEvent | None] = asyncio.Queue()
        self._body = b""
        path = f"/v1/generations/{generation_id}/events"
        names = {"authorization": f"Bearer {key}", **{name.replace("_", "-"): v for name, v in headers.items()}}
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in names.items()],
            "server": ("gateway.test", 80),
            "client": ("127.0.0.1", 1),
        }

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        async with asyncio.timeout(WITHIN):
            await self._begun.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    async def next(self) -> StreamEvent | None:
        async with asyncio.timeout(WITHIN):
            return await self._events.get()

    async def take(self, count: int) -> list[StreamEvent]:
        taken = [await self.next() for _ in range(count)]
        assert None not in taken, "the stream ended early"
        return [event for event in taken if event is not None]

    async def rest(self) -> list[StreamEvent]:
        """Return all events until the end."""
        rest = []
        while (event := await self.next()) is not None:
            rest.append(event)
        return rest

    def waiting(self) -> int:
        """Return the events that have arrived and were not yet read."""
        return self._events.qsize()

    async def leave(self) -> None:
        """Close the connection, as a client does that stops reading."""
        self._left.set()
        self.reading.set()
        async with asyncio.timeout(WITHIN):
            await self._task

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
        finally:
            self._begun.set()
            self.ended.set()
            self._events.put_nowait(None)

    async def _receive(self) -> dict[str, Any]:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            self._begun.set()
            return
        await self.reading.wait()
        self._body += message.get("body", b"")
        whole, separator, self._body = self._body.rpartition(b"\n\n")
        for event in frames((whole + separator).decode().splitlines()) if self.status == 200 else ():
            if event is None:
                self.heartbeats += 1
            else:
                self._events.put_nowait(event)
