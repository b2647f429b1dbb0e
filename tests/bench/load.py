"""Load over HTTP/1.1 from a separate process: a number of connections, each with one request in progress.

Written on plain sockets, because an HTTP client that costs more than the server would measure itself.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count, cycle
from typing import Final, cast

import uvloop

#: Concurrent requests, unless a figure needs another number.
CONNECTIONS: Final = 50
#: The text that a body's number replaces: of the same length, so that all requests have the same size.
PLACEHOLDER: Final = "#" * 12
_PATIENCE: Final = 120.0  # seconds beyond those of the round, after which it fails


class LoadFailed(Exception):
    """The server gave another response than expected, or none."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """One round. It ends after ``seconds``, or after ``requests`` if given."""

    port: int
    method: str = "POST"
    paths: Sequence[str]
    """Requested in turn; ``PLACEHOLDER`` in paths, headers and body becomes a unique number."""
    headers: dict[str, str] = field(default_factory=dict)
    keys: Sequence[str] = ()
    """API keys, used in turn; they replace an ``authorization`` in the headers."""
    body: str = ""
    wanted: int = 202
    connections: int = CONNECTIONS
    seconds: float = 0.0
    requests: int = 0

    def run(self) -> "Outcome":
        """Run the round. Raises LoadFailed."""
        command = [sys.executable, "-m", "tests.bench.load"]
        child = subprocess.run(
            command,
            input=json.dumps(asdict(self)),
            capture_output=True,
            text=True,
            check=False,
        )
        if child.returncode:
            raise LoadFailed(child.stderr[-2000:])
        return Outcome(**json.loads(child.stdout))

    def messages(self) -> Iterator[bytes]:
        """Yield complete requests without end."""
        numbers = count(time.time_ns() // 1_000_000 % 10**8 * 10_000)
        templates = [self._message(path, key) for key in self.keys or [""] for path in self.paths]
        for template in cycle(templates):
            yield template.replace(PLACEHOLDER.encode(), b"%012d" % next(numbers))

    def _message(self, path: str, key: str) -> bytes:
        headers = {"host": f"127.0.0.1:{self.port}", **self.headers, "content-length": str(len(self.body.encode()))}
        if key:
            headers["authorization"] = f"Bearer {key}"
        lines = [f"{self.method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n" + self.body).encode()


@dataclass(frozen=True)
class Outcome:
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


class Connection(asyncio.Protocol):
    """Sends a request, reads its response, sends the next."""

    def __init__(self, next_request: Callable[[], bytes | None], wanted: int, latencies: list[float]) -> None:
        self._next_request = next_request
        self._wanted = b"HTTP/1.1 %d" % wanted
        self._latencies = latencies
        self._answer = b""
        self._sent = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transport does not inherit from it
        self._send()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if not _is_whole(self._answer):
            return
        self._latencies.append(time.perf_counter() - self._sent)
        if not self._answer.startswith(self._wanted):
            self._end(LoadFailed(self._answer.decode(errors="replace")))
            return
        self._answer = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(LoadFailed(f"The connection was closed ({exc})."))

    def _send(self) -> None:
        message = self._next_request()
        if message is None:
            self._end(None)
            return
        self._sent = time.perf_counter()
        self._transport.write(message)

    def _end(self, error: LoadFailed | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None) if error is None else self.ended.set_exception(error)
        self._transport.close()


def _is_whole(answer: bytes) -> bool:
    head = answer.find(b"\r\n\r\n")
    if head < 0:
        return False
    length = answer.lower().index(b"content-length:", 0, head)  # neither server uses chunks for these calls
    return len(answer) >= head + 4 + int(answer[length + 15 : answer.index(b"\r", length)])


async def _run(load: Load) -> Outcome:
    begun = time.perf_counter()
    messages, latencies, left = load.messages(), list[float](), iter(range(load.requests))

    def next_request() -> bytes | None:
        if load.requests:
            return None if next(left, None) is None else next(messages)
        return None if time.perf_counter() - begun > load.seconds else next(messages)

    loop = asyncio.get_running_loop()
    opened = [
        await loop.create_connection(lambda: Connection(next_request, load.wanted, latencies), "127.0.0.1", load.port)
        for _ in range(load.connections)
    ]
    async with asyncio.timeout(load.seconds + _PATIENCE):
        await asyncio.gather(*(connection.ended for _, connection in opened))
    seconds = time.perf_counter() - begun
    percentiles = statistics.quantiles(latencies, n=100)
    return Outcome(len(latencies), seconds, percentiles[49] * 1000, percentiles[98] * 1000)


if __name__ == "__main__":
    outcome = uvloop.run(_run(Load(**json.load(sys.stdin))))
    print(json.dumps(asdict(outcome)))
