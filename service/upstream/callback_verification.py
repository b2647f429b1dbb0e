"""Verification of fal's callbacks: Ed25519 signatures, with the keys that fal publishes."""

import asyncio
import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Self

import aiohttp
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from service.observability import log
from service.upstream.answer_body import IDENTITY, LARGEST_DOCUMENT, AnswerTooLarge, read_body
from service.upstream.http_result import read_response
from service.upstream.sessions import open_session

Verdict = Literal["authentic", "malformed", "timestamp", "signature", "keys_unavailable"]
"""``keys_unavailable``: undecided, because fal's keys cannot be fetched."""

#: fal asks receivers to cache its keys no longer than this.
CACHED_FOR: Final = timedelta(hours=24)
#: A signature that no key verifies may mean that fal has new keys; a flood of forgeries fetches no more often.
BETWEEN_FETCHES: Final = timedelta(seconds=30)
#: fal's own limit against replays, in both directions.
WINDOW_SECONDS: Final = 300

#: fal waits 15 s for the gateway's answer.
_FETCH_SECONDS: Final = 5.0
#: Every key is tried on every forgery, at 0.1 ms each.
_MOST_KEYS: Final = 16
_NAME: Final = re.compile(r"[\x21-\x7e]{1,256}")
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")
_SIGNATURE: Final = re.compile(r"[0-9a-fA-F]{128}")  # 64 bytes


class Verifier:
    """Verifies callbacks. Caches fal's keys for a day; concurrent refreshes share one fetch."""

    def __init__(self, *, rest_url: str, proxy: str | None = None) -> None:
        self._proxy = proxy
        self._url = f"{rest_url}/.well-known/jwks.json"
        self._keys: tuple[Ed25519PublicKey, ...] = ()
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._log = log.get(__name__)

    async def __aenter__(self) -> Self:
        self._http = open_session(
            connector=aiohttp.TCPConnector(limit=1, force_close=True),
            timeout=aiohttp.ClientTimeout(total=_FETCH_SECONDS),
            headers=IDENTITY,
            proxy=self._proxy,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)
        await self._http.close()

    async def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Verdict:
        """Verify a callback. ``headers`` have lower-case names; ``body`` is the exact bytes received."""
        signed = _signed(headers)
        if signed is None:
            return "malformed"
        if abs(now.timestamp() - signed.timestamp) > WINDOW_SECONDS:
            return "timestamp"
        message = signed.message(body)
        if _verified(self._fresh_keys(now), signed.signature, message):
            return "authentic"
        await self._refresh(now)
        keys = self._fresh_keys(now)
        if _verified(keys, signed.signature, message):
            return "authentic"
        return "signature" if keys else "keys_unavailable"

    def _fresh_keys(self, now: datetime) -> tuple[Ed25519PublicKey, ...]:
        return self._keys if self._fetched_at is not None and now - self._fetched_at < CACHED_FOR else ()

    async def _refresh(self, now: datetime) -> None:
        """Fetch fal's keys, unless they were fetched within ``BETWEEN_FETCHES``."""
        if self._fetching is None:
            if self._tried_at is not None and now - self._tried_at < BETWEEN_FETCHES:
                return
            self._tried_at = now
            self._fetching = asyncio.create_task(self._fetch(now), name="fal-keys")
        await asyncio.shield(self._fetching)  # a cancelled caller does not cancel the fetch that others await

    async def _fetch(self, now: datetime) -> None:
        try:
            self._keys, self._fetched_at = await self._published(), now
            self._log.info("fal_keys_fetched", keys=len(self._keys))
        except (aiohttp.ClientError, TimeoutError, AnswerTooLarge, ValueError) as error:
            self._log.warning("fal_keys_unavailable", error=type(error).__name__)
        finally:
            self._fetching = None

    async def _published(self) -> tuple[Ed25519PublicKey, ...]:
        """Fetch the published keys. Raise if there is none: the cached keys stay."""
        async with self._http.get(self._url, allow_redirects=False) as response:
            if response.status != 200:
                raise ValueError(f"fal answered {response.status}")
            content = await read_body(response.headers, response.content.iter_any(), most=LARGEST_DOCUMENT)
        if not (keys := public_keys(read_response(200, {}, content).body)):
            raise ValueError("no Ed25519 key in the document")
        return keys


@dataclass(frozen=True, slots=True)
class _Signed:
    """The signature headers of a callback. fal signs their text as written."""

    request_id: str
    user_id: str
    written_timestamp: str
    signature: bytes

    @property
    def timestamp(self) -> int:
        return int(self.written_timestamp)

    def message(self, body: bytes) -> bytes:
        lines = (self.request_id, self.user_id, self.written_timestamp, hashlib.sha256(body).hexdigest())
        return "\n".join(lines).encode()


def _signed(headers: Mapping[str, str]) -> _Signed | None:
    request_id = headers.get("x-fal-webhook-request-id", "")
    user_id = headers.get("x-fal-webhook-user-id", "")
    timestamp = headers.get("x-fal-webhook-timestamp", "")
    signature = headers.get("x-fal-webhook-signature", "")
    if not (_NAME.fullmatch(request_id) and _NAME.fullmatch(user_id)):
        return None
    if not (_TIMESTAMP.fullmatch(timestamp) and _SIGNATURE.fullmatch(signature)):
        return None
    return _Signed(request_id, user_id, timestamp, bytes.fromhex(signature))


def _verified(keys: Iterable[Ed25519PublicKey], signature: bytes, message: bytes) -> bool:
    return any(_verifies(key, signature, message) for key in keys)


def _verifies(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def public_keys(document: Any) -> tuple[Ed25519PublicKey, ...]:
    """Return the Ed25519 keys of a JWKS (RFC 7517, 8037); ignore other keys."""
    entries = document.get("keys") if isinstance(document, dict) else None
    written = [_written_key(entry) for entry in entries] if isinstance(entries, list) else []
    return tuple(key for x in written if x is not None and (key := _public_key(x)) is not None)[:_MOST_KEYS]


def _written_key(entry: object) -> str | None:
    match entry:
        case {"kty": "OKP", "crv": "Ed25519", "x": str(x)}:
            return x
    return None


def _public_key(x: str) -> Ed25519PublicKey | None:
    """Decode ``x``: base64url without the padding that Python's decoder requires."""
    bare = x.rstrip("=")
    try:
        raw = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
        return Ed25519PublicKey.from_public_bytes(raw)
    except ValueError:
        return None
