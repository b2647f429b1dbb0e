"""Sends one webhook request.

Bounded in time and memory, to an address that the guard has checked; a receiver's behaviour never raises.
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

from aiohttp import ClientError, StreamReader
from aiohttp.abc import AbstractResolver, ResolveResult

from service.clock import utc_now
from service.net.failure import Failure, explain
from service.net.guarded_sessions import GuardedSessions
from service.net.resolver import Resolver
from service.net.retry_after import parse_retry_after
from service.net.ssrf import AddressGuard, host_of

#: Bytes of a response that are stored, enough to recognise an error page.
EXCERPT_BYTES: Final = 1024
#: Below the keep-alive of common servers (gunicorn 2 s, Node and uvicorn 5 s): a POST on a connection that is being
#: closed is lost, and aiohttp rightly does not repeat it.
KEEPALIVE_SECONDS: Final = 1.5
#: Longest DNS lookup during the registration of an endpoint.
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
    """Belongs to one event loop; connections open with the first post.

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
        # Not the connector's limit: the wait for other deliveries must not count against this receiver's timeout.
        self._connections = asyncio.Semaphore(max_connections)
        self._resolver = resolver or Resolver()
        self._sessions = GuardedSessions(
            guard,
            resolver=self._resolver,
            headers={"User-Agent": user_agent},
            read_size=EXCERPT_BYTES,
            keepalive_seconds=KEEPALIVE_SECONDS,
            tls=tls,
        )
        self._clock = clock
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> ReceiverResponse | NoReceiverResponse:
        """Send once, without redirects. The receiver's behaviour never raises."""
        if self._closed:
            raise RuntimeError("the sender is closed")
        async with self._connections:
            started = time.monotonic()
            try:
                return await self._exchange(url, headers, body, started)
            except Exception as error:  # noqa: BLE001 -- a misbehaving receiver must not break the batch
                return NoReceiverResponse(*explain(error), latency=_since(started))

    async def check(self, url: str) -> None:
        """Check a URL's text and the current addresses of its host. Raises AddressRefused.

        A host that does not resolve passes: it may resolve before the first delivery.
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
        await self._sessions.close()

    async def _exchange(self, url: str, headers: Mapping[str, str], body: bytes, started: float) -> ReceiverResponse:
        self._guard.check_url(url)
        deadline = asyncio.get_running_loop().time() + self._timeout_seconds
        session = self._sessions.of(url)
        async with asyncio.timeout_at(deadline):
            response = await session.post(url, headers=headers, data=body, allow_redirects=False)
        try:
            excerpt = await _excerpt(response.content, deadline)
        finally:
            # A connection whose response was read completely is back in the pool; any other is closed.
            response.close()
        retry_after = parse_retry_after(response.headers.get("Retry-After"), now=self._clock())
        return ReceiverResponse(response.status, excerpt, retry_after, _since(started))


async def _excerpt(content: StreamReader, deadline: float) -> str:
    """Read the start of the body. The status has decided already; a truncated body does not change it."""
    content_start = bytearray()
    with suppress(ClientError, OSError):
        async with asyncio.timeout_at(deadline):
            while len(content_start) < EXCERPT_BYTES and (
                chunk := await content.read(EXCERPT_BYTES - len(content_start))
            ):
                content_start += chunk
    return content_start.decode("utf-8", errors="replace")


def _since(started: float) -> timedelta:
    return timedelta(seconds=time.monotonic() - started)
