"""Removes metadata from images without decoding them: segments that encode the picture stay, all others are dropped.

Removed are EXIF (including location), XMP, IPTC, comments, texts, times, thumbnails, previews and application segments.
Colour profiles stay: without them the picture looks different. What follows the end of the picture is removed too.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Final

from service.errors import ImageFormat, ImageTruncated, ImageUnreadable
from service.media.formats import Format
from service.media.trailers import check_trailer


def cleaned(kind: Format, content: bytes) -> bytes:
    """Return the picture without metadata.

    Raises BadImage for a truncated or damaged file, or one with a file of a second format after the image.
    """
    return b"".join({"jpeg": _jpeg, "png": _png, "webp": _webp}[kind](content))


# --- JPEG: segments that begin with a marker, and entropy-coded data after each start of scan

_SOI: Final = b"\xff\xd8"
_EOI: Final = 0xD9
_SOS: Final = 0xDA
_APP0, _APP2, _APP14, _APP15, _COMMENT = 0xE0, 0xE2, 0xEE, 0xEF, 0xFE
#: Within scan data, a marker is 0xFF followed by neither a stuffed zero, a restart, nor another fill byte.
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def _jpeg(content: bytes) -> Iterator[bytes]:
    yield _SOI
    at = 2
    while True:
        marker, start, end = _segment(content, at)
        if marker == _EOI:
            yield b"\xff\xd9"
            break
        if marker == _SOS:
            end = _end_of_scan(content, end)
        if marker == _APP0:
            yield _without_thumbnail(content[start:end])
        elif _shows(marker, content[start + 4 : start + 15]):
            yield content[start:end]
        at = end
    check_trailer(content, end)


def _shows(marker: int, head: bytes) -> bool:
    """Return whether a segment encodes the picture; application segments only if they define its colours."""
    if _APP0 < marker <= _APP15:
        return marker == _APP14 or (marker == _APP2 and head == b"ICC_PROFILE")
    return marker != _COMMENT


def _segment(content: bytes, at: int) -> tuple[int, int, int]:
    """Return marker, start and end of the segment at this position."""
    while content[at : at + 2] == b"\xff\xff":  # fill bytes
        at += 1
    if at + 2 > len(content):
        raise ImageTruncated("The JPEG ends before its end marker.")
    if content[at] != 0xFF:
        raise ImageUnreadable("The JPEG's segments are damaged.")
    if content[at + 1] == _EOI:
        return _EOI, at, at + 2
    if at + 4 > len(content):
        raise ImageTruncated("The JPEG ends before its end marker.")
    end = at + 2 + int.from_bytes(content[at + 2 : at + 4])
    if end > len(content):
        raise ImageTruncated("The JPEG ends before its end marker.")
    return content[at + 1], at, end


def _end_of_scan(content: bytes, at: int) -> int:
    found = _MARKER.search(content, at)
    if found is None:
        raise ImageTruncated("The JPEG ends before its end marker.")
    return found.start()


def _without_thumbnail(segment: bytes) -> bytes:
    """JFIF defines the colours; its thumbnail and the thumbnail extension are removed."""
    if segment[4:9] != b"JFIF\x00" or len(segment) < 18:
        return b""
    return b"\xff\xe0\x00\x10" + segment[4:16] + b"\x00\x00"


# --- PNG: chunks with a checksum each

_PNG_HEAD: Final = 8
_SHOWN: Final = frozenset(
    (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"pHYs")
)


def _png(content: bytes) -> Iterator[bytes]:
    yield content[:_PNG_HEAD]
    at, name = _PNG_HEAD, b""
    while name != b"IEND":
        if at + 8 > len(content):
            raise ImageTruncated("The PNG ends before its last chunk.")
        length, name = struct.unpack(">I4s", content[at : at + 8])
        end = at + 12 + length
        if end > len(content):
            raise ImageTruncated("The PNG ends before its last chunk.")
        if zlib.crc32(content[at + 4 : end - 4]) != int.from_bytes(content[end - 4 : end]):
            raise ImageUnreadable("A chunk of the PNG does not match its checksum.")
        if name in _SHOWN:
            yield content[at:end]
        at = end
    check_trailer(content, at)


# --- WebP: a RIFF of chunks, padded to even lengths

_FLAGS_AT: Final = 8
_ANIMATED, _XMP, _EXIF = 0x02, 0x04, 0x08
_PICTURE: Final = frozenset((b"VP8X", b"ICCP", b"ALPH", b"VP8 ", b"VP8L"))


def _webp(content: bytes) -> Iterator[bytes]:
    end = 8 + int.from_bytes(content[4:8], "little")
    if end > len(content):
        raise ImageTruncated("The WebP ends before its last chunk.")
    check_trailer(content, end)
    kept = b"".join(_webp_chunks(content[12:end]))
    yield b"RIFF" + struct.pack("<I", 4 + len(kept)) + b"WEBP"
    yield kept


def _webp_chunks(content: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(content):
        if at + 8 > len(content):
            raise ImageTruncated("The WebP ends before its last chunk.")
        name, length = struct.unpack("<4sI", content[at : at + 8])
        end = at + 8 + length
        if end > len(content):
            raise ImageTruncated("The WebP ends before its last chunk.")
        if name == b"VP8X":
            yield _still(content[at:end])
        elif name in _PICTURE:
            yield content[at:end] + b"\x00" * (length % 2)
        at = end + length % 2


def _still(chunk: bytes) -> bytes:
    if len(chunk) <= _FLAGS_AT:
        raise ImageUnreadable("The WebP's header is damaged.")
    if chunk[_FLAGS_AT] & _ANIMATED:
        raise ImageFormat("The WebP is an animation; send a still image.")
    head = bytearray(chunk)
    head[_FLAGS_AT] &= ~(_XMP | _EXIF)
    return bytes(head)
