"""Answers that fill the memory of a client which reads them whole. Their status is that of the right answer."""

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from functools import cache

from starlette.responses import Response, StreamingResponse

MEGABYTE = 1024 * 1024
PACKED_MEGABYTES = 256
HUGE_MEGABYTES = 64
#: Seconds between the chunks of an answer without an end: a client reads 6 MB a second of it.
PULSE = 0.01
JSON = "application/json"
GZIP_HEADER = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 2, 255))
LAST_BLOCK = bytes((3, 0))


@cache
def _bomb() -> bytes:
    """Return spaces packed to a thousandth. One block of them is packed, and repeated: that takes no time."""
    blank, packer = b" " * MEGABYTE, zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    block = packer.compress(blank) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for _ in range(PACKED_MEGABYTES):
        checksum = zlib.crc32(blank, checksum)
    trailer = struct.pack("<LL", checksum, PACKED_MEGABYTES * MEGABYTE)
    return GZIP_HEADER + block * PACKED_MEGABYTES + LAST_BLOCK + trailer


def _packed(answer: Response) -> Response:
    return Response(_bomb(), answer.status_code, {"content-encoding": "gzip"}, JSON)


def _huge(answer: Response) -> Response:
    async def blanks() -> AsyncIterator[bytes]:
        for _ in range(HUGE_MEGABYTES):
            yield b" " * MEGABYTE

    return StreamingResponse(blanks(), answer.status_code, media_type=JSON)


def _endless(answer: Response) -> Response:
    async def blanks() -> AsyncIterator[bytes]:
        while True:
            yield b" " * (MEGABYTE // 16)
            await asyncio.sleep(PULSE)

    return StreamingResponse(blanks(), answer.status_code, media_type=JSON)


FLOODS: dict[str, Callable[[Response], Response]] = {"packed": _packed, "huge": _huge, "endless": _endless}
