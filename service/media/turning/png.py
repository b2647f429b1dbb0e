"""Turns a PNG without loss: bit depth, palette, transparency and all chunks that define colours stay as they are.

Pillow knows the pixels as bytes of a fixed number, without their meaning: each colour type and depth is decoded and
encoded as one of Pillow's own that has as many bytes. Pillow has none of six and eight bytes: ``deep`` turns those.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Final

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from service.media.turning.deep import DeepImage
from service.media.turning.methods import SIDEWAYS

_HEAD: Final = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_CHANNELS: Final = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGBA: 4}
#: By depth and colour type: depth and colour type with as many bits for a pixel, which Pillow turns without a change.
_CARRIERS: Final = {
    **{(depth, colour): (depth, _PALETTE) for depth in (1, 2, 4) for colour in (_GREY, _PALETTE)},
    **{(8, colour): (8, colour) for colour in (_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA)},
    (16, _GREY): (8, _GREY_ALPHA),
    (16, _GREY_ALPHA): (8, _RGBA),
}
#: Chunks that have an EXIF orientation, or define how others are read.
_METADATA: Final = frozenset((b"IHDR", b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"IEND"))
_PIXELS: Final = frozenset((b"IHDR", b"IDAT", b"IEND"))
_NOT_INTERLACED: Final = b"\x00"
#: Images with fewer bytes of pixels, or with more bytes of pixels for each byte of the file, are compressed with a
#: search for repetitions. Of large photos it takes five times the CPU of a search for runs, and saves nothing.
_FEW: Final = 16_000_000
_REPEATS: Final = 16
_LEVEL: Final = 6
_Chunk = tuple[bytes, bytes]


def turned(clean: bytes, method: Image.Transpose) -> Iterator[bytes]:
    chunks = list(_chunks(clean))
    (_, header), data = chunks[0], [chunk for chunk in chunks if chunk[0] == b"IDAT"]
    depth, colour = header[8], header[9]
    upright: Image.Image | DeepImage
    if carrier := _CARRIERS.get((depth, colour)):
        upright = _opened(_png(header[:8] + bytes(carrier) + header[10:], data)).transpose(method)
    else:
        upright = DeepImage(_opened(_png(header, data)), _opened(_png(header, data)), method)
    colours = [_turned_chunk(chunk, method) for chunk in chunks if chunk[0] not in _PIXELS]
    head = struct.pack(">II", upright.width, upright.height) + header[8:12] + _NOT_INTERLACED
    size = upright.width * upright.height * depth * _CHANNELS[colour] // 8
    repeats = size <= _FEW or size > _REPEATS * len(clean) or colour == _PALETTE
    strategies = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_RLE)
    for strategy in strategies if repeats else strategies[::-1]:
        yield _png(head, [*colours, (b"IDAT", _encoded(upright, depth, strategy))])


def without_pixels(content: bytes) -> bytes:
    """Return the PNG with the chunks that may contain its orientation. Raises struct.error for a truncated one."""
    return _HEAD + b"".join(_written(chunk) for chunk in _chunks(content) if chunk[0] in _METADATA)


def _opened(content: bytes) -> PngImageFile:
    return PngImageFile(io.BytesIO(content))


def _encoded(upright: Image.Image | DeepImage, depth: int, strategy: int) -> bytes:
    if isinstance(upright, DeepImage):
        return upright.encoded(_LEVEL, strategy)
    if upright.mode == "P":
        upright.putpalette(bytes(3 << depth))  # as many colours as Pillow writes with this depth
    written = io.BytesIO()
    upright.save(written, "PNG", compress_level=_LEVEL, compress_type=strategy, bits=depth)
    return b"".join(body for name, body in _chunks(written.getvalue()) if name == b"IDAT")


def _turned_chunk(chunk: _Chunk, method: Image.Transpose) -> _Chunk:
    """Swap the pixels per metre across and down."""
    name, body = chunk
    if name != b"pHYs" or method not in SIDEWAYS:
        return chunk
    return name, body[4:8] + body[:4] + body[8:]


def _chunks(content: bytes) -> Iterator[_Chunk]:
    at, name = len(_HEAD), b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", content, at)
        yield name, content[at + 8 : at + 8 + length]
        at += 12 + length


def _png(header: bytes, chunks: list[_Chunk]) -> bytes:
    return _HEAD + b"".join(map(_written, ((b"IHDR", header), *chunks, (b"IEND", b""))))


def _written(chunk: _Chunk) -> bytes:
    name, body = chunk
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
