"""Reading of fal's answers: bounded while the bytes arrive, and bounded again when they are unpacked.

fal is asked for unpacked answers (``IDENTITY``). A proxy that packs an answer nevertheless is understood, without
trust in its size: 145 kB of gzip can hold 600 MB.
"""

import zlib
from collections.abc import AsyncIterable, Mapping
from typing import Final

IDENTITY: Final[Mapping[str, str]] = {"accept-encoding": "identity"}
#: Largest answer of the queue API, in bytes. fal repeats the input in its errors: the largest one has a tenth of this.
LARGEST_ANSWER: Final = 1024 * 1024
#: Largest answer with URLs or keys, in bytes.
LARGEST_DOCUMENT: Final = 64 * 1024

#: zlib detects the header of gzip or of zlib itself.
_ANY_HEADER: Final = 32 + zlib.MAX_WBITS
_PACKED: Final = ("gzip", "x-gzip", "deflate")


class AnswerTooLarge(Exception):
    """The answer has more bytes than its kind may have. The rest is not read."""


async def read_body(headers: Mapping[str, str], chunks: AsyncIterable[bytes], *, most: int = LARGEST_ANSWER) -> bytes:
    """Return at most ``most`` bytes, from the chunks as they arrive, before any decoding by the client.

    An answer in an unknown encoding is returned empty: it cannot be read. Raises AnswerTooLarge.
    """
    content = bytearray()
    async for chunk in chunks:
        content += chunk
        if len(content) > most:
            raise AnswerTooLarge
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return bytes(content)
    return _unpacked(content, most) if encoding in _PACKED else b""


def _unpacked(content: bytearray, most: int) -> bytes:
    try:
        unpacked = zlib.decompressobj(_ANY_HEADER).decompress(content, most + 1)
    except zlib.error:
        return b""
    if len(unpacked) > most:
        raise AnswerTooLarge
    return unpacked
