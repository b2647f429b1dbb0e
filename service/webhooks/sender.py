"""One POST to a stranger.

Bounded in time and memory, only to an address the guard has seen, and never an exception for what comes back.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Final, Self

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, StreamReader, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

from service.clock import utc_now
from service.net.failure import Failure, explain
from service.net.resolver import Resolver
from service.net.retry_after import parse_retry_after
from service.net.ssrf import AddressGuard, host_of

#: What is kept of an answer, enough to recognise an error page by.
EXCERPT_BYTES: Final = 1024
#: Below what common servers keep an idle connection for (gunicorn 2 s, Node and uvicorn 5 s): a POST on one that is
#: just being closed is lost, and aiohttp rightly does not repeat it.
KEEPALIVE_SECONDS: Final = 1.5
#: A registration waits no longer for a name server.
_LOOK_UP_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class ReceiverResponse:
    status: int
    body: str
    retry_after: timedelta | None
    latency: timedelta


@dataclass(frozen=True, slots=True)
class NoReceiverResponse:
    error: Failure
    detail: str
    latency: timedelta


class Sender:
    """Belongs to one event loop; its connections open with the first post.

    `tls` replaces the system's certificate authorities; `resolver` and `clock` are for tests.
    """

    def __init__(
        self,
        guard: AddressGuard,
        *,
        timeout_seconds: float = 15,
        max_connections: int = 1000,
        user_agent: str = "seedance-gateway",
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._guard = guard
        self._timeout_seconds = timeout_seconds
        # Not the connector's own limit: waiting for our other deliveries must not count against this receiver's time.
        self._connections = asyncio.Semaphore(max_connections)
        self._user_agent = user_agent
        self._tls = tls
        self._resolver = resolver or Resolver()
        self._clock = clock
        self._sessions: dict[str, ClientSession] = {}
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> ReceiverResponse | NoReceiverResponse:
        """Send once, never follow, never raise for anything the far side can do."""
        if self._closed:
            raise RuntimeError("the sender is closed")
        async with self._connections:
            started = time.monotonic()
            try:
                return await self._exchange(url, headers, body, started)
            except Exception as error:  # noqa: BLE001 -- one stranger's nonsense must not break the batch around it
                return NoReceiverResponse(*explain(error), latency=_since(started))

    async def check(self, url: str) -> None:
        """Raises AddressRefused for a URL that would not be called, by its text or by where its host resolves now.

        A host that does not resolve is fine: it may by the time there is something to send.
        """
        self._guard.check_url(url)
        if (host := host_of(url)) is None:
            return
        found: list[ResolveResult] = []
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_LOOK_UP_SECONDS):
                found = await self._resolver.resolve(host, 443, socket.AF_UNSPEC)
        self._guard.check_addresses(url, [result["host"] for result in found])

    async def close(self) -> None:
        self._closed = True
        for session in self._sessions.values():
            await session.close()
        await self._resolver.close()

    async def _exchange(self, url: str, headers: Mapping[str, str], body: bytes, started: float) -> ReceiverResponse:
        self._guard.check_url(url)
        deadline = asyncio.get_running_loop().time() + self._timeout_seconds
        session = self._session("trusted" if self._guard.trusts(url) else url.partition(":")[0].lower())
        async with asyncio.timeout_at(deadline):
            response = await session.post(url, headers=headers, data=body, allow_redirects=False)
        try:
            excerpt = await _excerpt(response.content, deadline)
        finally:
            # A connection whose answer was read to its end is back in the pool by now; any other is cut, not drained.
            response.close()
        retry_after = parse_retry_after(response.headers.get("Retry-After"), now=self._clock())
        return ReceiverResponse(response.status, excerpt, retry_after, _since(started))

    def _session(self, kind: str) -> ClientSession:
        """Of three kinds, each with its own idea of a good address; connections are never shared between them."""
        if kind not in self._sessions:
            self._sessions[kind] = self._open_session(kind)
        return self._sessions[kind]

    def _open_session(self, kind: str) -> ClientSession:
        factories = {
            "http": self._guard.plain_socket_factory,
            "https": self._guard.socket_factory,
            "trusted": self._guard.trusted_socket_factory,
        }
        # The DNS cache (10 s) stays on: every socket is judged by its own address, however old the lookup, and
        # simultaneous lookups of one name become one.
        connector = TCPConnector(
            socket_factory=factories[kind],
            resolver=self._resolver,
            ssl=self._tls or True,
            limit=0,
            keepalive_timeout=KEEPALIVE_SECONDS,
        )
        return ClientSession(
            connector=connector,
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
            cookie_jar=DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=ClientTimeout(),
            read_bufsize=EXCERPT_BYTES,
        )


async def _excerpt(content: StreamReader, deadline: float) -> str:
    """The start of the body, as far as it comes: the status has decided by now, a body cut short does not undo it."""
    kept = bytearray()
    with suppress(ClientError, OSError):
        async with asyncio.timeout_at(deadline):
            while len(kept) < EXCERPT_BYTES and (chunk := await content.read(EXCERPT_BYTES - len(kept))):
                kept += chunk
    return kept.decode("utf-8", errors="replace")


def _since(started: float) -> timedelta:
    return timedelta(seconds=time.monotonic() - started)
