"""A separate process with a slow webhook receiver: ``python -m tests.bench.slow_receiver PORT SECONDS``.

Paths below ``/hang`` get no response. ``GET /`` returns the time of each event by path, and the most open requests.
"""

import asyncio
import json
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

import uvloop

_HEAD: Final = re.compile(rb"^(POST|GET) (\S+) HTTP/1\.1\r\n(.*?)\r\n\r\n", re.DOTALL)
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ID: Final = re.compile(rb"webhook-id: *(\S+)", re.IGNORECASE)
_DONE: Final = b"HTTP/1.1 204 No Content\r\n\r\n"


class Log:
    def __init__(self) -> None:
        self.came: dict[str, list[tuple[str, float]]] = defaultdict(list)
        self.open = 0
        self.most_open = 0

    def report(self) -> bytes:
        body = json.dumps({"came": self.came, "most_open": self.most_open}).encode()
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


class Connection(asyncio.Protocol):
    def __init__(self, log: Log, seconds: float) -> None:
        self._log = log
        self._seconds = seconds
        self._read = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (head := _HEAD.match(self._read)) is not None:
            length = _LENGTH.search(head[3])
            end = head.end() + (int(length[1]) if length else 0)
            if len(self._read) < end:
                return
            self._read = self._read[end:]
            self._take(head)

    def _take(self, head: re.Match[bytes]) -> None:
        if head[1] == b"GET":
            self._transport.write(self._log.report())
            return
        log, path, name = self._log, head[2].decode(), _ID.search(head[3])
        log.came[path].append((name[1].decode() if name else "", time.time()))
        log.open += 1
        log.most_open = max(log.most_open, log.open)
        if not path.startswith("/hang"):
            asyncio.get_running_loop().call_later(self._seconds, self._answer)

    def _answer(self) -> None:
        self._log.open -= 1
        self._transport.write(_DONE)


async def serve(port: int, seconds: float) -> None:
    log = Log()
    make: Callable[[], Connection] = lambda: Connection(log, seconds)  # noqa: E731
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2])))
