"""HTTP to the OpenID provider, with bounds of time and size and without redirects.

The addresses are not guarded: the platform engineer configures the issuer, which often is an internal server. Every URL
is one of its discovery document, over HTTPS.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Final

import aiohttp
from yarl import URL

from service.net.failure import explain
from service.net.key_set_fetcher import FetchFailed

_SECONDS: Final = 5.0
_LONGEST: Final = 131_072
"""Bytes of a response. ID tokens with many groups have some thousand."""
_HEADERS: Final = {"User-Agent": "seedance-gateway", "Accept": "application/json"}


class OpenIdFetcher:
    """Opens a connection for each request: logins are rare."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls

    async def fetch(self, url: str) -> bytes:
        """Return the body of a URL. Raises FetchFailed."""
        status, content = await self._request("GET", url, {}, None)
        if status != 200:
            raise FetchFailed(f"the response has the status {status}, not 200")
        return content

    async def post(self, url: str, headers: Mapping[str, str], form: str) -> tuple[int, bytes]:
        """Send an encoded form. Return status and body of the response. Raises FetchFailed."""
        return await self._request("POST", url, headers, form.encode())

    async def _request(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> tuple[int, bytes]:
        try:
            async with (
                asyncio.timeout(_SECONDS),
                aiohttp.ClientSession(headers=_HEADERS, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.request(
                    method,
                    URL(url, encoded=True),
                    headers=headers,
                    data=content,
                    allow_redirects=False,
                    ssl=self._tls or True,
                ) as response,
            ):
                return response.status, await _bounded(response)
        except FetchFailed:
            raise
        except Exception as error:  # noqa: BLE001 -- a misbehaving server must not fail a request in another way
            failure, detail = explain(error)
            raise FetchFailed(f"{failure}: {detail}") from None


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_chunked(_LONGEST):
        content += chunk
        if len(content) > _LONGEST:
            raise FetchFailed(f"the response is longer than {_LONGEST} bytes")
    return bytes(content)
