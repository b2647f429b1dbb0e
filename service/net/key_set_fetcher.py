"""Fetches key sets of token issuers (JWKS): guarded addresses, no redirects, bounded time and size."""

import asyncio
import ssl
from types import TracebackType
from typing import Final, Self

from aiohttp.abc import AbstractResolver
from yarl import URL

from service.domain.identity.key_sets import LONGEST_KEY_SET
from service.net.failure import explain
from service.net.guarded_sessions import GuardedSessions
from service.net.resolver import Resolver
from service.net.ssrf import AddressGuard, AddressRefused

_SECONDS: Final = 5.0
_REMEDY: Final = (
    "; the operator can allow an internal issuer by name (GATEWAY_JWKS_ALLOWED_HOSTS) or by network "
    "(GATEWAY_JWKS_ALLOWED_NETWORKS)"
)


class FetchFailed(Exception):
    """Why a key set was not fetched; text for operators."""


class KeySetFetcher:
    """Belongs to one event loop; connections open with the first fetch."""

    def __init__(
        self, guard: AddressGuard, *, tls: ssl.SSLContext | None = None, resolver: AbstractResolver | None = None
    ) -> None:
        self._guard = guard
        self._sessions = GuardedSessions(
            guard,
            resolver=resolver or Resolver(),
            tls=tls,
            headers={"User-Agent": "seedance-gateway", "Accept": "application/jwk-set+json, application/json"},
            read_size=LONGEST_KEY_SET,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._sessions.close()

    async def fetch(self, url: str) -> bytes:
        """Return the body of a URL. Raises FetchFailed."""
        try:
            self._guard.check_url(url)
            async with asyncio.timeout(_SECONDS):
                return await self._get(url)
        except FetchFailed:
            raise
        except AddressRefused as refusal:
            raise FetchFailed(refusal.reason + (_REMEDY if refusal.can_be_allowed else "")) from None
        except Exception as error:  # noqa: BLE001 -- a misbehaving server must not fail a request in another way
            failure, detail = explain(error)
            raise FetchFailed(f"{failure}: {detail}") from None

    async def _get(self, url: str) -> bytes:
        response = await self._sessions.of(url).get(URL(url, encoded=True), allow_redirects=False)
        try:
            if response.status != 200:
                raise FetchFailed(f"the response has the status {response.status}, not 200")
            content = bytearray()
            while chunk := await response.content.read(LONGEST_KEY_SET):
                content += chunk
                if len(content) > LONGEST_KEY_SET:
                    raise FetchFailed(f"the response is longer than {LONGEST_KEY_SET} bytes")
            return bytes(content)
        finally:
            response.close()
