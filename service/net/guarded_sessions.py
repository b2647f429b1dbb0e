"""HTTP sessions whose sockets the SSRF guard opens. No redirects, cookies, proxies or decompression of their own."""

import ssl
from collections.abc import Mapping

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver

from service.net.ssrf import AddressGuard


class GuardedSessions:
    """A session for each kind of URL: http, https, and hosts that the operator allowed by name.

    Each kind has its own address check; kinds share no connections. ``tls`` replaces the system's authorities.
    """

    def __init__(
        self,
        guard: AddressGuard,
        *,
        resolver: AbstractResolver,
        headers: Mapping[str, str],
        read_size: int,
        keepalive_seconds: float = 15.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._guard = guard
        self._resolver = resolver
        self._headers = {**headers, "Accept-Encoding": "identity"}
        self._read_size = read_size
        self._keepalive_seconds = keepalive_seconds
        self._tls = tls
        self._sessions: dict[str, ClientSession] = {}

    def of(self, url: str) -> ClientSession:
        """Return the session of a URL. Raises AddressRefused if it is none."""
        kind = "trusted" if self._guard.trusts(url) else url.partition(":")[0].lower()
        if kind not in self._sessions:
            self._sessions[kind] = self._open(kind)
        return self._sessions[kind]

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()
        await self._resolver.close()

    def _open(self, kind: str) -> ClientSession:
        factories = {
            "http": self._guard.plain_socket_factory,
            "https": self._guard.socket_factory,
            "trusted": self._guard.trusted_socket_factory,
        }
        # The resolver has a cache. Every socket is checked by its own address, however old the lookup.
        connector = TCPConnector(
            socket_factory=factories[kind],
            resolver=self._resolver,
            use_dns_cache=False,
            ssl=self._tls or True,
            limit=0,
            keepalive_timeout=self._keepalive_seconds,
        )
        return ClientSession(
            connector=connector,
            headers=self._headers,
            cookie_jar=DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=ClientTimeout(),
            read_bufsize=self._read_size,
        )
