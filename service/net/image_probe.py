"""Probe of a URL: reads the first bytes of an image, or a whole video. Bytes, redirects and addresses are bounded."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self
from urllib.parse import urldefrag, urljoin

from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver
from yarl import URL

from service.net.failure import explain
from service.net.resolver import Resolver
from service.net.ssrf import AddressGuard, AddressRefused, Network

_REDIRECTS: Final = 3
#: Servers that choose the format by this header must not choose one that the model does not accept.
_ACCEPT: Final = "image/jpeg, image/png, image/webp, */*;q=0.1"
_ALL_PORTS: Final = (range(1, 65536),)


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """``size``: bytes of the whole file, if the server states it."""

    status: int
    head: bytes
    size: int | None


@dataclass(frozen=True, slots=True)
class ProbeRefused:
    """The URL does not name an address on the public internet."""

    reason: str


@dataclass(frozen=True, slots=True)
class ProbeFailed:
    reason: str


class ImageProbe:
    """Belongs to one event loop. The caller sets the timeout; ``tls`` and ``resolver`` are for tests."""

    def __init__(
        self,
        allowed_networks: Iterable[Network] = (),
        *,
        most_bytes: int,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        networks = tuple(allowed_networks)
        self._guard = AddressGuard(networks)
        self._by_address = AddressGuard(networks, allowed_ports=_ALL_PORTS)
        self._most_bytes = most_bytes
        self._tls = tls
        self._resolver = resolver or Resolver()
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
        await self._resolver.close()

    async def probe(self, url: str) -> ProbeResult | ProbeRefused | ProbeFailed:
        """Read the first bytes of a URL. Follows redirects to addresses that the guard allows."""
        return await self._follow(url, {"Range": f"bytes=0-{self._most_bytes - 1}"}, self._head)

    async def download(
        self, url: str, take: Callable[[AsyncIterator[bytes]], Awaitable[None]]
    ) -> ProbeResult | ProbeRefused | ProbeFailed:
        """Request a whole file as ``probe`` does, and give its chunks to ``take``, which may stop early.

        ``take`` must not raise. It is not called for a status other than 200.
        """

        async def read(response: ClientResponse) -> bytes:
            if response.status == 200:
                await take(response.content.iter_any())
            return b""

        return await self._follow(url, {"Accept": "*/*"}, read)

    async def _follow(
        self, url: str, headers: Mapping[str, str], read: Callable[[ClientResponse], Awaitable[bytes]]
    ) -> ProbeResult | ProbeRefused | ProbeFailed:
        target = urldefrag(url).url
        try:
            self._by_address.check_url(_as_https(target))
        except AddressRefused as refusal:
            return ProbeRefused(refusal.reason)
        try:
            self._check(target)  # fal may request ports that the gateway does not
            for _ in range(_REDIRECTS):
                seen = await self._get(target, headers, read)
                if isinstance(seen, ProbeResult):
                    return seen
                target = urldefrag(urljoin(target, seen)).url
                self._check(target)
        except Exception as error:  # noqa: BLE001 -- a misbehaving server must not stop dispatch
            return ProbeFailed(explain(error)[0])
        return ProbeFailed("redirects")

    def _check(self, url: str) -> None:
        """Check as for a webhook, but allow plain http to public addresses: the request carries no data."""
        self._guard.check_url(_as_https(url))

    async def _get(
        self, url: str, headers: Mapping[str, str], read: Callable[[ClientResponse], Awaitable[bytes]]
    ) -> ProbeResult | str:
        """Return the result, or the redirect target."""
        response = await self._opened().get(URL(url, encoded=True), headers=headers, allow_redirects=False)
        try:
            if response.status in (301, 302, 303, 307, 308) and (location := response.headers.get("location")):
                return location
            head = await read(response) if response.status in (200, 206) else b""
            return ProbeResult(response.status, head, _size(response.status, response.headers))
        finally:
            response.close()  # closes the connection instead of reading the rest

    async def _head(self, response: ClientResponse) -> bytes:
        head = bytearray()
        while len(head) < self._most_bytes and (chunk := await response.content.read(self._most_bytes - len(head))):
            head += chunk
        return bytes(head)

    def _opened(self) -> ClientSession:
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(
                    socket_factory=self._guard.socket_factory,
                    resolver=self._resolver,
                    use_dns_cache=False,
                    ssl=self._tls or True,
                    limit=0,
                    force_close=True,
                ),
                headers={"User-Agent": "seedance-gateway", "Accept": _ACCEPT, "Accept-Encoding": "identity"},
                cookie_jar=DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                timeout=ClientTimeout(),
                read_bufsize=self._most_bytes,
            )
        return self._session


def _as_https(url: str) -> str:
    scheme, colon, rest = url.partition("://")
    return f"https{colon}{rest}" if scheme.lower() == "http" else url


def _size(status: int, headers: Mapping[str, str]) -> int | None:
    text = headers.get("content-length", "")
    if status == 206:
        text = headers.get("content-range", "").rpartition("/")[2]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
