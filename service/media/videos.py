"""Kept videos: one object each in a bucket or a folder, written whole or not at all."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import GCSStore, LocalStore, S3Store, from_url

from service.domain.generation import Kept

#: Of a part of a multipart upload; S3 wants five MiB at least.
_PART_BYTES: Final = 5 * 1024 * 1024
#: Parts under way at a time: with the one being filled, fifteen MiB a copy.
_PARTS: Final = 2
_READ_BYTES: Final = 256 * 1024
_SIGNED_FOR: Final = timedelta(minutes=15)
#: Any single exchange with the store, but a whole copy.
_SECONDS: Final = 30.0
#: What the store's client may raise, whatever it is about: its own errors, and Python's for a file that is not there.
_TROUBLE: Final = (BaseError, OSError, TimeoutError)


class StoreAway(Exception):
    """The store did not do it, for now."""


class NotKept(Exception):
    """There is no such object."""


class VideoStore:
    """``s3://bucket/prefix`` (credentials and endpoint from ``AWS_*``), ``gs://…`` (``GOOGLE_*``), ``file:///folder``."""

    def __init__(self, url: str) -> None:
        if url.startswith("file:"):
            self._folder = unquote(urlsplit(url).path)
            self._store: Any = LocalStore(self._folder, mkdir=True)
        else:
            self._store = from_url(
                url,
                client_options={
                    "allow_http": True,  # of an endpoint that the operator names so; those of AWS and Google are https
                    "connect_timeout": timedelta(seconds=5),
                    "timeout": timedelta(seconds=_SECONDS),
                },
                retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=_SECONDS)},
            )

    @property
    def signs(self) -> bool:
        return isinstance(self._store, S3Store | GCSStore)

    async def keep(self, path: str, chunks: AsyncIterator[bytes], *, content_type: str, most: int) -> Kept:
        """Write these bytes as one object, replacing what was there.

        What raises on the way, in the store or in ``chunks``, leaves no object behind; a process killed on the way
        leaves at most parts that nobody sees. Raises StoreAway.
        """
        digest, size = hashlib.sha256(), 0
        if isinstance(self._store, LocalStore):
            await asyncio.to_thread(self._clear, path)
        attributes = None if isinstance(self._store, LocalStore) else {"Content-Type": content_type}
        try:
            async with obstore.open_writer_async(
                self._store, path, attributes=attributes, buffer_size=_PART_BYTES, max_concurrency=_PARTS
            ) as writer:
                async for chunk in chunks:
                    digest.update(chunk)
                    size += len(chunk)
                    if size > most:
                        raise StoreAway(f"larger than {most} bytes")
                    await writer.write(chunk)
            found = await obstore.head_async(self._store, path)
        except _TROUBLE as error:
            raise StoreAway(_told(error)) from error
        if found["size"] != size:
            raise StoreAway(f"{found['size']} of {size} bytes arrived")
        return Kept(path, size, digest.hexdigest())

    def _clear(self, path: str) -> None:
        """Of a copy that was killed, a folder keeps the file it was writing: ``<name>#1``."""
        place = Path(self._folder, path)
        for staged in place.parent.glob(f"{place.name}#*"):
            staged.unlink(missing_ok=True)

    async def read(self, path: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes from ``start`` to before ``end``. Raises NotKept, StoreAway."""
        try:
            async with asyncio.timeout(_SECONDS):
                found = await obstore.get_async(self._store, path, options={"range": (start, end)})
        except FileNotFoundError as error:
            raise NotKept(path) from error
        except _TROUBLE as error:
            raise StoreAway(_told(error)) from error
        return _chunks(found)

    async def signed(self, path: str) -> str:
        """A URL at which the store itself answers for a while. Raises StoreAway."""
        try:
            async with asyncio.timeout(_SECONDS):
                return await obstore.sign_async(self._store, "GET", path, expires_in=_SIGNED_FOR)
        except _TROUBLE as error:
            raise StoreAway(_told(error)) from error

    async def delete(self, path: str) -> None:
        """Also where there is none. Raises StoreAway."""
        try:
            async with asyncio.timeout(_SECONDS):
                await obstore.delete_async(self._store, path)
        except FileNotFoundError:
            return
        except _TROUBLE as error:
            raise StoreAway(_told(error)) from error


async def _chunks(found: Any) -> AsyncIterator[bytes]:
    async for chunk in found.stream(min_chunk_size=_READ_BYTES):
        yield bytes(chunk)


def _told(error: BaseException) -> str:
    """Of the client's errors the first line: the rest is its own insides, signed URLs among them."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"[:200]
