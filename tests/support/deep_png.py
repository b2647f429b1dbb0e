"""PNG files from samples, of every colour type and bit depth, also those that Pillow cannot hold; and back."""

import struct
import zlib
from typing import Any, Final

import numpy as np

from tests.support.pictures import chunk

HEAD: Final = b"\x89PNG\r\n\x1a\n"
CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
Samples = np.ndarray[Any, np.dtype[np.uint16]]


def samples(width: int, height: int, depth: int, colour: int) -> Samples:
    """Return values of the whole range, without any symmetry: noise in one half, a gradient in the other."""
    shape = (height, width, CHANNELS[colour])
    noise = np.random.default_rng(5).integers(0, 1 << depth, shape)
    gradient = np.indices(shape).sum(0) * 3 % (1 << depth)
    return np.where(np.indices(shape)[1] < width // 2, noise, gradient).astype(np.uint16)


def written(
    values: Samples, depth: int, colour: int, *, before: bytes = b"", after: bytes = b"", interlaced: bool = False
) -> bytes:
    """Return a PNG with these chunks before and after its pixels."""
    height, width = values.shape[:2]
    passes = (
        [values[y::down, x::across] for x, y, across, down in _ADAM7 if values[y::down, x::across].size]
        if interlaced
        else [values]
    )
    rows = b"".join(b"\x00" + _packed(row, depth) for part in passes for row in part)
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    data = zlib.compress(rows)
    split = len(data) // 2  # two chunks
    pixels = chunk(b"IDAT", data[:split]) + chunk(b"IDAT", data[split:])
    return HEAD + chunk(b"IHDR", head) + before + pixels + after + chunk(b"IEND", b"")


def read(content: bytes) -> tuple[Samples, dict[bytes, bytes]]:
    """Return the samples of a PNG that is not interlaced, and its chunks by name."""
    chunks: dict[bytes, bytes] = {}
    at = len(HEAD)
    while at < len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        chunks[name] = chunks.get(name, b"") + content[at + 8 : at + 8 + length]
        at += 12 + length
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert not interlace
    channels = CHANNELS[colour]
    stride, pixel = (width * channels * depth + 7) // 8, max(1, channels * depth // 8)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, stride + 1)
    plain = np.zeros((height + 1, stride + pixel), int)
    for number, row in enumerate(rows, 1):
        _unfilter(int(row[0]), row[1:], plain[number], plain[number - 1], pixel)
    return _unpacked(plain[1:, pixel:].astype(np.uint8), width, depth, channels), chunks


def _unfilter(kind: int, row: Any, out: Any, above: Any, pixel: int) -> None:
    for at, value in enumerate(row.tolist()):
        left, up, corner = int(out[at]), int(above[at + pixel]), int(above[at])
        estimate = left + up - corner
        nearest = min((left, up, corner), key=lambda near: abs(estimate - near))
        out[at + pixel] = value + (0, left, up, (left + up) // 2, nearest)[kind] & 255


def _packed(row: Any, depth: int) -> bytes:
    if depth == 16:
        return bytes(row.astype(">u2").tobytes())
    if depth == 8:
        return bytes(row.astype(np.uint8).tobytes())
    bits = np.unpackbits(row.astype(np.uint8).reshape(-1, 1), axis=1)[:, 8 - depth :]
    return bytes(np.packbits(bits).tobytes())


def _unpacked(rows: Any, width: int, depth: int, channels: int) -> Samples:
    if depth == 16:
        values: Any = np.ascontiguousarray(rows).view(">u2").astype(np.uint16)
    elif depth == 8:
        values = rows
    else:
        bits = np.unpackbits(rows, axis=1)[:, : width * depth].reshape(len(rows), width, depth)
        values = (bits * (1 << np.arange(depth)[::-1])).sum(-1)
    return np.asarray(values, np.uint16).reshape(len(rows), width, channels)
