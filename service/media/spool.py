"""A stranger's bytes on disk instead of in memory: a file without a name, gone with the process that opened it."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO, Final

from service.errors import Malformed, TooLarge

#: Collected before it is written, so that a sender of single bytes costs no write each.
_WRITE_BYTES: Final = 256 * 1024
_READ_BYTES: Final = 64 * 1024


@asynccontextmanager
async def spool() -> AsyncIterator[IO[bytes]]:
    """In the system's folder for temporary files, which ``TMPDIR`` moves.

    Without a buffer, so that a process that inherits it reads from where it was left.
    """
    file = await asyncio.to_thread(_open)
    try:
        yield file
    finally:
        await asyncio.to_thread(file.close)


def _open() -> IO[bytes]:
    return tempfile.TemporaryFile(buffering=0)


async def fill(file: IO[bytes], chunks: AsyncIterator[bytes], *, most: int) -> int:
    """How many bytes came. Raises TooLarge as soon as they are too many, Malformed where there are none."""
    size, waiting = 0, bytearray()
    async for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise TooLarge(f"The image is larger than {most} bytes.")
        waiting += chunk
        if len(waiting) >= _WRITE_BYTES:
            await asyncio.to_thread(file.write, bytes(waiting))
            waiting.clear()
    await asyncio.to_thread(file.write, bytes(waiting))
    if not size:
        raise Malformed("The body is empty.")
    return size


async def read(file: IO[bytes]) -> AsyncIterator[bytes]:
    """From its beginning."""
    await asyncio.to_thread(file.seek, 0)
    while chunk := await asyncio.to_thread(file.read, _READ_BYTES):
        yield chunk
