"""Stored videos: one object each in a bucket or a folder, written completely or not at all."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from service.domain.generation import StoredVideo

#: Size of a part of a multipart upload; S3 requires at least 5 MiB.
_PART_BYTES: Final = 5 * 1024 * 1024
#: Concurrent parts: with the one being filled, 15 MiB of memory per copy.
_PARTS: Final = 2
_READ_BYTES: Final = 256 * 1024
_SIGNED_FOR: Final = timedelta(minutes=15)
#: Timeout of one request to the store; a whole copy may take longer.
_SECONDS: Final = 30.0
#: The credential services of the clouds, which answer this machine only.
_NEVER_PROXIED: Final = "169.254.0.0/16,fd00:ec2::/32,metadata.google.internal"


class VideoStoreUnavailable(Exception):
    """The video store failed; a retry may succeed."""


class VideoMissing(Exception):
    """The object does not exist."""


class VideoStore:
    """``s3://bucket/prefix`` (credentials and endpoint from ``AWS_*``), ``gs://…`` (``GOOGLE_*``), ``file:///folder``."""

    def __init__(self, url: str, *, proxy: str | None = None) -> None:
        import obstore  # noqa: PLC0415  (4 MB in every process, and most deployments store no videos)
        from obstore.exceptions import BaseError  # noqa: PLC0415
        from obstore.store import GCSStore, LocalStore, S3Store, from_url  # noqa: PLC0415

        self._api = obstore
        #: Errors of the store: its own, and Python's for missing files.
        self._errors = (BaseError, OSError, TimeoutError)
        self._folder = Path(unquote(urlsplit(url).path)) if url.startswith("file:") else None
        self._store: Any
        if self._folder is not None:
            self._store = LocalStore(self._folder, mkdir=True)
        else:
            self._store = from_url(
                url,
                client_options={
                    "allow_http": True,  # for endpoints that the operator names; AWS and Google use https
                    "connect_timeout": timedelta(seconds=5),
                    "timeout": timedelta(seconds=_SECONDS),
                    **({} if proxy is None else {"proxy_url": proxy, "proxy_excludes": _NEVER_PROXIED}),
                },
                retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=_SECONDS)},
            )
        self.signs: Final = isinstance(self._store, S3Store | GCSStore)
        """Whether the store supports ``signed`` URLs."""

    async def write(self, path: str, chunks: AsyncIterator[bytes], *, content_type: str, most: int) -> StoredVideo:
        """Write the bytes as one object, replacing an existing one.

        An error in the store or in ``chunks`` leaves no object; a killed process leaves at most invisible parts of an
        upload. Raises VideoStoreUnavailable.
        """
        digest, size = hashlib.sha256(), 0
        attributes = None
        if self._folder is None:
            attributes = {"Content-Type": content_type}
        else:
            await asyncio.to_thread(_clear, self._folder / path)
        try:
            async with self._api.open_writer_async(
                self._store, path, attributes=attributes, buffer_size=_PART_BYTES, max_concurrency=_PARTS
            ) as writer:
                async for chunk in chunks:
                    digest.update(chunk)
                    size += len(chunk)
                    if size > most:
                        raise VideoStoreUnavailable(f"larger than {most} bytes")
                    await writer.write(chunk)
            found = await self._api.head_async(self._store, path)
        except self._errors as error:
            raise VideoStoreUnavailable(_describe(error)) from error
        if found["size"] != size:
            raise VideoStoreUnavailable(f"{found['size']} of {size} bytes arrived")
        return StoredVideo(path, size, digest.hexdigest())

    async def read(self, path: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes from ``start`` to before ``end``. Raises VideoMissing, VideoStoreUnavailable."""
        try:
            async with asyncio.timeout(_SECONDS):
                found = await self._api.get_async(self._store, path, options={"range": (start, end)})
        except FileNotFoundError as error:
            raise VideoMissing(path) from error
        except self._errors as error:
            raise VideoStoreUnavailable(_describe(error)) from error
        return _chunks(found)

    async def signed(self, path: str) -> str:
        """Return a URL that the store serves for 15 minutes. Raises VideoStoreUnavailable."""
        try:
            async with asyncio.timeout(_SECONDS):
                return await self._api.sign_async(self._store, "GET", path, expires_in=_SIGNED_FOR)
        except self._errors as error:
            raise VideoStoreUnavailable(_describe(error)) from error

    async def delete(self, path: str) -> None:
        """Delete the object if it exists. Raises VideoStoreUnavailable."""
        try:
            async with asyncio.timeout(_SECONDS):
                await self._api.delete_async(self._store, path)
        except FileNotFoundError:
            return
        except self._errors as error:
            raise VideoStoreUnavailable(_describe(error)) from error


def _clear(place: Path) -> None:
    """Remove partial files of killed copies: the local store names them ``<name>#1``."""
    for staged in place.parent.glob(f"{place.name}#*"):
        staged.unlink(missing_ok=True)


async def _chunks(found: Any) -> AsyncIterator[bytes]:
    async for chunk in found.stream(min_chunk_size=_READ_BYTES):
        yield bytes(chunk)


def _describe(error: BaseException) -> str:
    """Return the first line of the error: the rest can contain signed URLs."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"[:200]
