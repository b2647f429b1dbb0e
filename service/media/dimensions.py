"""Sizes of images from the first bytes of a file, without a decoder: an estimate of the work of an inspection.

The decoder's process checks the real size. A file that claims less is stopped at the limits of what it claims.
"""

import struct
from typing import Final

from service.media.formats import Format

#: Bytes that contain the size, also behind a camera's metadata.
HEAD_LENGTH: Final = 256 * 1024
#: Segments and fill bytes of a JPEG that are read.
_MOST_SEGMENTS: Final = 500
_START_OF_FRAME: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def pixels(kind: Format, head: bytes) -> int | None:
    """Return width times height; None if the head does not contain them."""
    try:
        width, height = {"png": _png, "webp": _webp, "jpeg": _jpeg}[kind](head)
    except (struct.error, IndexError):
        return None
    return width * height


def _png(head: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", head, 16)
    return width, height


def _webp(head: bytes) -> tuple[int, int]:
    match head[12:16]:
        case b"VP8X":
            return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", head, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", head, 26)
    return width & 0x3FFF, height & 0x3FFF


def _jpeg(head: bytes) -> tuple[int, int]:
    """Follow the segments to the first start of frame."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        mark, marker = head[at], head[at + 1]
        if mark != 0xFF:
            raise IndexError
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return width, height
        else:
            (length,) = struct.unpack_from(">H", head, at + 2)
            at += 2 + length
    raise IndexError
