"""Turns a JPEG through its pixels, with the source's own quantisation tables and subsampling.

The components are decoded and encoded as they are: without a conversion of colours, and without interpolated chroma.
The blocks of the transform are turned with the image, so that almost all coefficients are quantised to what they were.
Only an edge that is no multiple of a block, and moves to the left or the top, shifts the blocks.
"""

import io
import struct
from collections.abc import Iterator, Sequence
from typing import Final

from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from service.media.turning.methods import MIRRORS_ACROSS, MIRRORS_DOWN, SIDEWAYS

_SOI, _SOF, _DHT, _SOS, _EOI = 0xD8, range(0xC0, 0xD0), 0xC4, 0xDA, 0xD9
_APP0, _APP14 = 0xE0, 0xEE
_APPLICATION: Final = range(0xE0, 0xF0)
_COMMENT: Final = 0xFE
#: With this header, decoders take three components as YCbCr, and convert none when they are asked for YCbCr.
_JFIF: Final = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
#: Says that three components are RGB. Without any header, their names say so.
_ADOBE_RGB: Final = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
_RGB_NAMES: Final = tuple(b"RGB")
_COLOURS: Final = 3
_CELLS: Final = 8
#: Pillow's subsamplings, by the pixels across and down that share their chroma.
_SUBSAMPLINGS: Final = {(2, 2): 2, (2, 1): 1, (1, 1): 0}
_FULL, _COARSEST = 0, 2
#: Pillow has a buffer for all of an optimised or progressive JPEG, of two bytes for a pixel, and fails beyond. So it
#: has this many times the source.
_BUFFER: Final = 2
_DEFAULT: Final = -1
#: A component: its name, samples across and down, and its quantisation table.
_Layer = tuple[int, int, int, int]


def turned(clean: bytes, method: Image.Transpose) -> Iterator[bytes]:
    headers, picture = _split(clean)
    source = b"\xff\xd8" + _JFIF + picture
    image = _opened(source)
    layers, progressive = image.layer, "progressive" in image.info
    tables = _tables(image, is_sideways=method in SIDEWAYS)
    subsampling = _subsampling(layers, image.size, method)
    upright = _components(source, image, halved=subsampling == _COARSEST).transpose(method)
    if not headers and tuple(layer[0] for layer in layers) == _RGB_NAMES:
        headers = [_ADOBE_RGB]
    if method in SIDEWAYS:
        headers = [_density_swapped(header) for header in headers]
    choices = [(subsampling, progressive), (subsampling, True)]
    if len(layers) == _COLOURS and any(layer[1:3] != layers[0][1:3] for layer in layers):
        choices.append((_COARSEST, True))
    ImageFile.MAXBLOCK = max(ImageFile.MAXBLOCK, _BUFFER * len(clean))
    for chroma, scans in dict.fromkeys(choices):
        encoded = _encoded(upright, tables, chroma, progressive=scans)
        yield b"".join((b"\xff\xd8", *headers, _split(encoded)[1]))


def _opened(source: bytes) -> JpegImageFile:
    return JpegImageFile(io.BytesIO(source))


def _components(source: bytes, image: JpegImageFile, *, halved: bool) -> Image.Image:
    """Decode the components without a conversion.

    Chroma that stays ``halved`` is decoded from an image of half the size, and each sample repeated: the encoder's mean
    of four equal samples is the sample. A decoder would interpolate them, and the encoder blur them.
    """
    image.draft("YCbCr", None)
    width, height = image.size
    if not halved or [layer[1:3] for layer in image.layer] != [(2, 2), (1, 1), (1, 1)] or min(width, height) < 2:
        image.load()
        return image
    half = _opened(source)
    half.draft("YCbCr", (width // 2, height // 2))
    chroma = [
        plane.resize((2 * plane.width, 2 * plane.height), Image.Resampling.NEAREST).crop((0, 0, width, height))
        for plane in half.split()[1:]
    ]
    return Image.merge("YCbCr", (image.getchannel(0), *chroma))


def _tables(image: JpegImageFile, *, is_sideways: bool) -> list[list[int]]:
    """Return a quantisation table for each component. Without tables the source is lossless: nothing is divided."""
    tables = [image.quantization.get(layer[3]) or [1] * _CELLS**2 for layer in image.layer]
    if not is_sideways:
        return tables
    return [[table[row * _CELLS + column] for column in range(_CELLS) for row in range(_CELLS)] for table in tables]


def _subsampling(layers: Sequence[_Layer], size: tuple[int, int], method: Image.Transpose) -> int:
    """Return the coarsest of Pillow's subsamplings that loses no chroma of the source."""
    if len(layers) != _COLOURS:
        return _DEFAULT
    (_, across, down, _), *chroma = layers
    shared = [min(across // layer[1] for layer in chroma), min(down // layer[2] for layer in chroma)]
    for axis, mirrors in enumerate((MIRRORS_ACROSS, MIRRORS_DOWN)):
        if method in mirrors and size[axis] % 2:
            shared[axis] = 1  # pixels that share their chroma would not share it any more
    if method in SIDEWAYS:
        shared.reverse()
    return next(
        (option for (x, y), option in _SUBSAMPLINGS.items() if x <= shared[0] and y <= shared[1]),
        _FULL,
    )


def _encoded(image: Image.Image, tables: list[list[int]], subsampling: int, *, progressive: bool) -> bytes:
    written = io.BytesIO()
    image.save(written, "JPEG", qtables=tables, subsampling=subsampling, progressive=progressive, optimize=True)
    return written.getvalue()


def _split(content: bytes) -> tuple[list[bytes], bytes]:
    """Return the application segments before the first scan, and everything else after the start of the image."""
    headers: list[bytes] = []
    rest: list[bytes] = []
    at = 2
    while True:
        while content[at + 1] == 0xFF:  # a fill byte
            at += 1
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4])
        if marker in (_SOS, _EOI):
            return headers, b"".join((*rest, content[at:]))
        segment = content[at : at + 2 + length]
        if marker in _APPLICATION:
            headers.append(segment)
        elif marker != _COMMENT:
            rest.append(segment)
        at += 2 + length


def _density_swapped(header: bytes) -> bytes:
    """Swap the pixels per inch across and down of a JFIF header."""
    if header[1] != _APP0:
        return header
    across, down = struct.unpack_from(">HH", header, 12)
    return header[:12] + struct.pack(">HH", down, across) + header[16:]
