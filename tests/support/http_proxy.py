"""An HTTP proxy as a server: CONNECT and requests with a whole URL, with the faults that proxies have."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal[
    "",
    "refuses",  # 403
    "demands a login",  # 407
    "cannot reach",  # 502
    "hangs",  # no response to CONNECT
    "closes",  # instead of a response to CONNECT
    "opens no tunnel",  # 200, and closes
    "talks nonsense",  # 200, and no TLS
    "loses the response",  # closes when the other side responds
    "withholds the response",
]

_REFUSALS = {"refuses": "403 Forbidden", "demands a login": "407 Login", "cannot reach": "502 Bad Gateway"}


@dataclass
class HttpProxy:
    url: str = ""
    fault: Fault = ""
    targets: list[str] = field(default_factory=list)
    """Host and port of each request."""
    logins: list[str] = field(default_factory=list)
    """Their ``Proxy-Authorization``."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                await self._answer(head.decode("latin-1"), reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                return

    async def _answer(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request, *lines = head.split("\r\n")
        method, target, _ = request.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        host = target if method == "CONNECT" else urlsplit(target).netloc
        self.targets.append(host)
        self.logins.append(headers.get("proxy-authorization", ""))
        if self.fault in _REFUSALS:
            writer.write(f"HTTP/1.1 {_REFUSALS[self.fault]}\r\ncontent-length: 0\r\n\r\n".encode())
            await writer.drain()
        elif self.fault == "hangs":
            await reader.read()
        elif self.fault != "closes":
            await self._relay(method, target, head, reader, writer)

    async def _relay(
        self, method: str, target: str, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        first = b""
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            if self.fault == "opens no tunnel":
                return
            if self.fault == "talks nonsense":
                await reader.read(1)  # the first byte of the handshake
                writer.write(b"220 mail.example ready\r\n" * 20)
                await reader.read()
                return
        else:
            parts = urlsplit(target)
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            first = head.replace(f"{method} {target} ", f"{method} {path} ", 1).encode("latin-1")
        host, _, port = (target if method == "CONNECT" else urlsplit(target).netloc).rpartition(":")
        theirs, ours = await asyncio.open_connection(host, int(port))
        with closing(ours):
            ours.write(first)
            both = (asyncio.create_task(_copy(reader, ours)), asyncio.create_task(self._return(theirs, writer)))
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _return(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Copy what fal sends. The handshake of TLS is more than one write; a response is the one that has a status."""
        passed = 0
        while chunk := await reader.read(65536):
            if self.fault == "loses the response" and passed > 1:
                return
            if self.fault == "withholds the response" and passed > 1:
                await asyncio.Event().wait()
            passed += 1
            writer.write(chunk)
            await writer.drain()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()


@asynccontextmanager
async def http_proxy() -> AsyncIterator[HttpProxy]:
    proxy = HttpProxy()
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield proxy
