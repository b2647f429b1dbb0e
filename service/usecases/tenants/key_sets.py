"""Key sets of trusted issuers: fetched, cached and refreshed, with bounds that no token can exceed.

A key set is fetched again when it is older than five minutes, in the background, and when a token names a key that it
does not have, at most every ten seconds. While its URL fails, the last one is used for an hour.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

from service.clock import Clock
from service.domain.identity.key_sets import KeySet, KeySetFault, VerificationKey, parse_key_set
from service.domain.identity.tokens import Token
from service.domain.identity.trusted_issuer import TrustedIssuer
from service.errors import Unavailable
from service.net.key_set_fetcher import FetchFailed
from service.observability import log, metrics
from service.usecases.tenants.lookup_cache import insert

FRESH_FOR: Final = timedelta(minutes=5)
KEPT_FOR: Final = timedelta(hours=1)
#: Between the begins of two fetches of a URL, whatever tokens name.
FETCH_INTERVAL: Final = timedelta(seconds=10)
_MOST_URLS: Final = 1000
_CONCURRENT_FETCHES: Final = 8
_UNAVAILABLE: Final = "The keys of the token's issuer cannot be fetched at the moment."
_log = log.get(__name__)


class Fetcher(Protocol):
    """HTTP with bounds of time and size."""

    async def fetch(self, url: str) -> bytes:
        """Return the body of a URL. Raises FetchFailed."""


class _Source:
    """The key set of one URL."""

    __slots__ = ("begun", "fault", "fetched", "keys", "task")

    def __init__(self) -> None:
        self.keys: KeySet | None = None
        self.fetched: datetime | None = None
        self.begun: datetime | None = None
        self.fault = ""
        self.task: asyncio.Task[None] | None = None

    def keys_at(self, now: datetime) -> KeySet | None:
        """Return the key set, unless it is too old."""
        return self.keys if self.fetched is not None and now < self.fetched + KEPT_FOR else None

    def may_fetch(self, now: datetime) -> bool:
        return self.task is not None or self.begun is None or now >= self.begun + FETCH_INTERVAL


class KeySets:
    """The key sets of a process."""

    def __init__(
        self, fetcher: Fetcher, *, clock: Clock, of: Literal["tenant_issuer", "openid"] = "tenant_issuer"
    ) -> None:
        """``of``: whose keys they are, for the metric. The issuer is no label: tenants choose it."""
        self._fetcher = fetcher
        self._clock = clock
        self._of = of
        self._sources: dict[str, _Source] = {}
        self._fetches = asyncio.Semaphore(_CONCURRENT_FETCHES)

    async def find(self, issuer: TrustedIssuer, token: Token) -> VerificationKey | None:
        """Return the key of a trusted issuer that a token names; None: it has no such key.

        Raises:
            Unavailable: the key set cannot be fetched, and there is no earlier one.

        """
        if issuer.jwks_url is None:
            return parse_key_set(issuer.jwks or "").select(token)
        return await self.find_at(issuer.jwks_url, token)

    async def find_at(self, url: str, token: Token) -> VerificationKey | None:
        """Return the key of the key set at a URL that a token names; None: it has no such key. Raises as ``find``."""
        source, now = self._source(url), self._clock()
        keys = source.keys_at(now)
        found = None if keys is None else keys.select(token)
        if found is None and source.may_fetch(now):
            await self._fetch(url, source)
            keys = source.keys_at(self._clock())
            found = None if keys is None else keys.select(token)
        elif source.fetched is not None and now >= source.fetched + FRESH_FOR and source.may_fetch(now):
            self._begin(url, source)
        if keys is None:
            raise Unavailable(_UNAVAILABLE, retry_after=FETCH_INTERVAL.total_seconds())
        return found

    async def fetch(self, url: str) -> KeySet:
        """Fetch a key set now. Raises KeySetFault, FetchFailed."""
        return parse_key_set((await self._fetcher.fetch(url)).decode("utf-8", "replace"))

    async def close(self) -> None:
        tasks = [source.task for source in self._sources.values() if source.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _source(self, url: str) -> _Source:
        source = self._sources.get(url) or _Source()
        insert(self._sources, url, source, is_old=lambda _: False, most=_MOST_URLS)
        return source

    async def _fetch(self, url: str, source: _Source) -> None:
        """Wait for a fetch: the one that runs, or a new one."""
        await asyncio.shield(self._begin(url, source))

    def _begin(self, url: str, source: _Source) -> asyncio.Task[None]:
        if source.task is None:
            source.begun = self._clock()
            source.task = asyncio.create_task(self._refresh(url, source), name="key-set")
        return source.task

    async def _refresh(self, url: str, source: _Source) -> None:
        try:
            async with self._fetches:
                source.keys = await self.fetch(url)
            source.fetched, source.fault = self._clock(), ""
        except (KeySetFault, FetchFailed) as fault:
            if str(fault) != source.fault:
                _log.warning("key_set_unavailable", url=url, error=str(fault))
            metrics.KEY_SETS_UNAVAILABLE.labels(self._of).inc()
            source.fault = str(fault)
        finally:
            source.task = None
