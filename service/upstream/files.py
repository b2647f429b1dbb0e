"""Download of finished files, from fal's hosts only."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self

import aiohttp
from yarl import URL

from service.upstream.hosts import FalHosts
from service.upstream.sessions import open_session

_CHUNK_BYTES: Final = 256 * 1024
_CONNECT_SECONDS: Final = 10.0
#: A connection without a byte for this long is closed.
_READ_SECONDS: Final = 30.0


class FileUnavailable(Exception):
    """The file cannot be read now: status other than 200, broken connection, or truncated body."""


class NotAFalUrl(Exception):
    """The URL is not on a host of fal; it is not requested."""


class FalFiles:
    def __init__(self, hosts: FalHosts, *, proxy: str | None = None) -> None:
        self._hosts = hosts
        self._proxy = proxy

    async def __aenter__(self) -> Self:
        self._http = open_session(
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_READ_SECONDS),
            headers={"user-agent": "seedance-gateway", "accept-encoding": "identity"},
            proxy=self._proxy,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    @asynccontextmanager
    async def opened(self, url: str) -> AsyncIterator[tuple[str | None, AsyncIterator[bytes]]]:
        """Yield content type and bytes. The key is not sent: fal's files are public by URL.

        Raises:
            NotAFalUrl: the URL is not https on a host of fal, nor below a configured URL of fal.
            FileUnavailable: also while the bytes are read, and for a redirect, which is not followed.

        """
        if not self._hosts.own(url):
            raise NotAFalUrl("the URL is not on a host of fal")
        try:
            async with self._http.get(URL(url, encoded=True), allow_redirects=False) as answer:
                if answer.status != 200:
                    raise FileUnavailable(f"fal answered {answer.status}")
                if answer.headers.get("content-encoding", "identity") != "identity":
                    raise FileUnavailable("fal packed the file")
                yield answer.headers.get("content-type"), answer.content.iter_chunked(_CHUNK_BYTES)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise FileUnavailable(type(error).__name__) from error
