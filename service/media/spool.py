"""Spools uploads to an anonymous temporary file, which disappears with the process."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import IO, Final

from service.errors import Malformed, TooLarge

#: Bytes collected per write, so that a sender of single bytes does not cost a write each.
_WRITE_BYTES: Final = 128 * 1024
#: Bytes of a form in addition to its file, which a declared length includes.
FORM_OVERHEAD: Final = 64 * 1024
_READ_BYTES: Final = 64 * 1024


@asynccontextmanager
async def spool() -> AsyncIterator[IO[bytes]]:
    """Open a file in the system's temporary folder (``TMPDIR``).

    It is unbuffered, so that a child process that inherits it reads from its current position.
    """
    file = await asyncio.to_thread(_open)
    try:
        yield file
    finally:
        await asyncio.to_thread(file.close)


def _open() -> IO[bytes]:
    return tempfile.TemporaryFile(buffering=0)


async def peek(chunks: AsyncIterator[bytes], least: int) -> tuple[bytes, AsyncIterator[bytes]]:
    """Return the first bytes, at least ``least`` if there are as many, and all chunks including those."""
    head = bytearray()
    async for chunk in chunks:
        head += chunk
        if len(head) >= least:
            break
    return bytes(head), _again(bytes(head), chunks)


async def _again(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if head:
        yield head
    async for chunk in rest:
        yield chunk


async def fill(file: IO[bytes], chunks: AsyncIterator[bytes], *, most: int, reserve: Callable[[int], None]) -> int:
    """Write the chunks and return their size in bytes. Calls ``reserve`` with the size before it writes.

    Raises TooLarge above ``most``, Malformed if there are none.
    """
    size, pending = 0, bytearray()
    async for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise TooLarge(f"The file is larger than {most} bytes.")
        reserve(size)
        pending += chunk
        if len(pending) >= _WRITE_BYTES:
            await asyncio.to_thread(file.write, bytes(pending))
            pending.clear()
    await asyncio.to_thread(file.write, bytes(pending))
    if not size:
        raise Malformed("The body is empty.")
    return size


async def read(file: IO[bytes]) -> AsyncIterator[bytes]:
    """Yield the file from its beginning."""
    await asyncio.to_thread(file.seek, 0)
    while chunk := await asyncio.to_thread(file.read, _READ_BYTES):
        yield chunk
